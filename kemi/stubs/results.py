"""What a function of KSR gives back, as Python sees it."""

from __future__ import annotations

import re

from kemi.stubs.exports import Export

#: Above 0 is yes, below 0 is no, 0 means stop: no truth value (the class of that name in the stubs).
CODE = "Code"

# Functions whose int is a quantity rather than yes, no or stop.
NUMBERS = frozenset(
    {
        "get_debug",
        "pv.geti",
        "cfgutils.core_hash",
        "cfgutils.rand_get_prob",
        "dlgs.dlgs_count",
        "dlgs.dlgs_tags_count",
        "htable.sht_cn",
        "htable.sht_dec",
        "htable.sht_inc",
        "http_client.curl_connect",
        "http_client.curl_connect_post",
        "http_client.get_hdrs",
        "http_client.query",
        "http_client.query_post",
        "http_client.query_post_hdrs",
        "http_client.query_request",
        "http_client.query_request_v2pk",
        "permissions.allow_address_group",
        "permissions.allow_source_address_group",
        "sqlops.sql_num_columns",
        "sqlops.sql_num_rows",
        "tm.t_get_branch_index",
        "tm.t_get_status_code",
        "kx.get_bodylen",
        "kx.get_conid",
        "kx.get_defn",
        "kx.get_envn",
        "kx.get_msglen",
        "kx.get_msgtype",
        "kx.get_protoid",
        "kx.get_send_sock_port",
        "kx.get_status",
        "kx.get_timestamp",
    }
)
# Of the functions that give a value of whatever type it has: those whose value is always a number, is always there, or
# always text when it is; all others may give text, a number or None.
_NUMERIC = frozenset({"kx.get_rcvadvport", "kx.get_rcvport", "kx.get_srcport", "pv.getl", "pvx.shvinc_get"})
_ALWAYS = frozenset(
    {
        "corex.file_read",
        "jsonrpcs.response",
        "kx.get_callid",
        "kx.get_def",
        "kx.get_env",
        "kx.get_msgbuf",
        "kx.get_proto",
        "kx.get_rcvaddr_sock",
        "kx.get_srcaddr_sock",
        "kx.get_srcip",
        "kx.get_srcuri",
        "pv.getvn",
        "pv.getvs",
        "pvx.shv_get",
        "pvx.var_get",
        "registrar.ulc_cget",
        "registrar.ulc_rget",
        "sqlops.sql_result_getz",
        "xhttp.get_hu",
    }
)
_TEXT = frozenset({"corex", "dialog", "hdr", "jsonrpcs", "kx", "textopsx", "uuid", "xhttp"})
# A list or a mapping, neither of which app_python3 can hand over: it logs an error and gives None.
_UNSUPPORTED = re.compile(r"pvx\.xav[ip]_get(_keys|d|d_p1)")

# gete gives "" for what is not there, getw "<null>".
_NULL_SHOWN = re.compile(r"(^|_)get[ew](_|$)")


def result(export: Export) -> str:
    """The type of what the function gives: "None", "bool", "int", "Code", "str", "str | int | None" and so on.

    An "int" is a quantity; the yes, no and stop of all other functions is :data:`CODE`. "None" alone: whatever comes
    back at run time (0) means nothing.
    """
    if export.returns == "none":
        return "None"
    if export.returns == "bool":
        return "bool"
    if export.returns != "xval":
        return "int" if export.name in NUMBERS else CODE
    if export.name in _NUMERIC:
        return "int"
    if _UNSUPPORTED.fullmatch(export.name):
        return "None"
    family, _, function = export.name.rpartition(".")
    value = "str" if family in _TEXT else "str | int"
    always = export.name in _ALWAYS or family == "uuid" or _NULL_SHOWN.search(function)
    return value if always else f"{value} | None"
