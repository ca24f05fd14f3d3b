"""What the single steps cost: entering Python, a guard, a rule, and every call of the KSR object."""
