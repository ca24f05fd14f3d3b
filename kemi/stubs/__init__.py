"""What is known of the KSR object: what each Kamailio exports, what it means, its types."""
