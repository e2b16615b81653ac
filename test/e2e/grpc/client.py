"""A gRPC client (grpcio) for tests: `python3 client.py PORT SCENARIO [JSON]`.

Runs one scenario against /e2e.Echo/* and prints its outcome as one line of JSON.
"""

import json
import queue
import sys
import time

import grpc

PORT, SCENARIO = sys.argv[1], sys.argv[2]
SETTINGS = json.loads(sys.argv[3]) if len(sys.argv) > 3 else {}

channel = grpc.insecure_channel(
    f"127.0.0.1:{PORT}",
    options=(
        ("grpc.max_receive_message_length", -1),
        ("grpc.max_send_message_length", -1),
        ("grpc.default_authority", "echo.test"),
        ("grpc.enable_http_proxy", 0),
    ),
)


def path(name):
    return f"/e2e.Echo/{name}"


def code_of(call):
    return call.code().value[0]


def unary(name, message, metadata=()):
    try:
        reply, call = channel.unary_unary(path(name)).with_call(message, metadata=metadata, timeout=30)
        return reply, call
    except grpc.RpcError as error:
        return None, error


def read_all(call, on_message=lambda _: None):
    messages = octets = 0
    try:
        for each in call:
            messages += 1
            octets += len(each)
            on_message(each)
    except grpc.RpcError:
        pass
    return {"code": code_of(call), "details": call.details(), "messages": messages, "bytes": octets}


def server_stream(name, message, timeout=None):
    return channel.unary_stream(path(name))(message, timeout=timeout)


def run_unary(count=100):
    pending = [channel.unary_unary(path("Unary")).future(b"%d" % i) for i in range(count)]
    wrong = sum(1 for i, each in enumerate(pending) if each.result() != b"%d" % i)
    return {"count": count, "wrong": wrong}


def run_collect(count=1000, size=1000):
    return json.loads(channel.stream_unary(path("Collect"))(iter([b"y" * size] * count)))


def run_stream(count=1000, size=1000):
    return read_all(server_stream("Stream", json.dumps({"count": count, "size": size}).encode()))


def run_ping_pong(count=1000):
    outgoing = queue.SimpleQueue()
    state = {"sent": 0, "wrong": 0}

    def following():
        if state["sent"] < count:
            state["sent"] += 1
            outgoing.put(b"%d" % state["sent"])
        else:
            outgoing.put(None)

    def check(data):
        if data != b"%d" % state["sent"]:
            state["wrong"] += 1
        following()

    following()
    outcome = read_all(channel.stream_stream(path("Chat"))(iter(outgoing.get, None)), check)
    return {**outcome, "wrong": state["wrong"]}


def run_deadline(ms=300):
    return read_all(server_stream("Hold", b"deadline", timeout=ms / 1000))


def run_told(ms):
    call = server_stream("Hold", b"told", timeout=ms / 1000)
    remaining = json.loads(next(call))["remaining"]
    call.cancel()
    return {"remainingMs": remaining * 1000}


def run_cancel():
    call = server_stream("Hold", b"cancel me")
    return read_all(call, lambda _: call.cancel())


def run_fail(code):
    _, call = unary("Fail", b"%d" % code)
    trailer = dict(call.trailing_metadata())
    return {"code": code_of(call), "details": call.details(), "server": trailer.get("x-server")}


def run_fail_late():
    return read_all(server_stream("FailLate", b""))


def run_metadata():
    metadata = (
        ("x-e2e-text", "one, two"),
        ("x-e2e-text", "three"),
        ("x-e2e-data-bin", bytes(range(256))),
        ("x-e2e-data-bin", b"\0"),
    )
    _, call = unary("Meta", b"", metadata)

    def view(fields):
        return {
            "text": ", ".join(v for k, v in fields if k == "x-e2e-text"),
            "data": [v.hex() for k, v in fields if k == "x-e2e-data-bin"],
        }

    return {
        "code": code_of(call),
        "initial": view(call.initial_metadata()),
        "trailer": view(call.trailing_metadata()),
    }


def run_large(bytes):
    message = (b"0123456789abcdef" * (bytes // 16 + 1))[:bytes]
    reply, call = unary("Unary", message)
    return {"code": code_of(call), "isSame": reply == message}


def run_concurrent(count):
    ends = [queue.SimpleQueue() for _ in range(count)]
    calls = []
    for i, end in enumerate(ends):
        end.put(b"%d" % i)
        calls.append(channel.stream_stream(path("Chat"))(iter(end.get, None)))
    answered = [next(call) for call in calls]
    for end in ends:
        end.put(None)
    failed = sum(1 for call in calls if read_all(call)["code"] != 0)
    return {"open": len(answered), "failed": failed}


def run_spread(count, width=1):
    servers, failed = {}, 0
    for _ in range(count):
        reply, call = unary("Unary", b"x")
        if reply is None:
            failed += 1
            continue
        name = dict(call.trailing_metadata())["x-server"]
        servers[name] = servers.get(name, 0) + 1
    return {"servers": servers, "failed": failed}


SCENARIOS = {
    "unary": run_unary,
    "collect": run_collect,
    "stream": run_stream,
    "pingPong": run_ping_pong,
    "deadline": run_deadline,
    "told": run_told,
    "cancel": run_cancel,
    "fail": run_fail,
    "failLate": run_fail_late,
    "metadata": run_metadata,
    "large": run_large,
    "concurrent": run_concurrent,
    "spread": run_spread,
}

print(json.dumps(SCENARIOS[SCENARIO](**SETTINGS)), flush=True)
time.sleep(0)
