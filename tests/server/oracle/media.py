"""Questions about the media relay: what rtpproxy_manage does with each message of a call."""

from tests.server.oracle.messages import BYE, INVITE, REPLY, Question, Scenario, with_sdp

ENGINE: list[Question] = [("rtpengine.rtpengine_manage", "replace-origin")]
MANAGE: list[Question] = [("rtpproxy.rtpproxy_manage", "co")]


def media_questions() -> list[Scenario]:
    call = with_sdp(INVITE, "192.0.2.5")
    tagged = INVITE.replace("To: <sip:bob@example.com>", "To: <sip:bob@example.com>;tag=tt1")
    failure = REPLY.replace("180 Ringing", "486 Busy")
    messages = {
        "offer": [call],
        "no-offer": [INVITE],
        "ringing": [call, REPLY],
        "early-answer": [call, with_sdp(REPLY.replace("180 Ringing", "183 Progress"), "192.0.2.6")],
        "answer": [call, with_sdp(REPLY.replace("180 Ringing", "200 OK"), "192.0.2.6")],
        "busy": [call, failure],
        "late-offer": [INVITE, with_sdp(REPLY.replace("180 Ringing", "200 OK"), "192.0.2.6")],
        "answer-in-ack": [with_sdp(tagged.replace("INVITE", "ACK"), "192.0.2.5")],
        "bare-ack": [tagged.replace("INVITE", "ACK")],
        "cancel": [call, INVITE.replace("INVITE", "CANCEL")],
        "bye": [call, BYE],
        "bye-of-nothing": [BYE],
        "update": [with_sdp(tagged.replace("INVITE", "UPDATE"), "192.0.2.5")],
        "prack": [with_sdp(tagged.replace("INVITE", "PRACK"), "192.0.2.5")],
        "prack-in-a-call": [
            call,
            with_sdp(REPLY.replace("180 Ringing", "183 Progress"), "192.0.2.6"),
            with_sdp(tagged.replace("INVITE", "PRACK"), "192.0.2.5"),
        ],
        "update-in-a-call": [
            call,
            with_sdp(REPLY.replace("180 Ringing", "200 OK"), "192.0.2.6"),
            with_sdp(tagged.replace("INVITE", "UPDATE"), "192.0.2.5"),
        ],
        "message": [INVITE.replace("INVITE", "MESSAGE")],
        "options-with-sdp": [with_sdp(INVITE.replace("INVITE", "OPTIONS"), "192.0.2.5")],
    }
    return [
        Scenario(f"{kind}-{name}", [(message, asked) for message in call])
        for kind, asked in {"media": MANAGE, "rtpengine": ENGINE}.items()
        for name, call in messages.items()
    ]
