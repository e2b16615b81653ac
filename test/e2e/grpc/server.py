"""A gRPC server (grpcio) for tests: `python3 server.py NAME [PORT]`. Messages are plain octets.

Prints `listening PORT`, then a line of JSON for each call that was cancelled.
"""

import json
import sys
import threading
from concurrent import futures

import grpc

NAME = sys.argv[1]
PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 0


def tell(fields):
    print(json.dumps(fields), flush=True)


def sign(context):
    context.set_trailing_metadata((("x-server", NAME),))


def unary(request, context):
    sign(context)
    return request


def collect(requests, context):
    messages = [len(each) for each in requests]
    sign(context)
    return json.dumps({"messages": len(messages), "bytes": sum(messages)}).encode()


def stream(request, context):
    wanted = json.loads(request)
    for _ in range(wanted["count"]):
        yield b"x" * wanted["size"]
    sign(context)


def chat(requests, context):
    yield from requests
    sign(context)


def hold(request, context):
    ended = threading.Event()
    context.add_callback(ended.set)
    yield json.dumps({"remaining": context.time_remaining()}).encode()
    ended.wait()
    tell({"cancelled": request.decode()})


def fail(request, context):
    sign(context)
    context.set_code(grpc.StatusCode(next(c.value for c in grpc.StatusCode if c.value[0] == int(request))))
    context.set_details("nö: 100%")
    return b""


def fail_late(_request, context):
    for each in (b"1", b"2", b"3"):
        yield each
    context.abort(grpc.StatusCode.ABORTED, "enough")


def meta(_request, context):
    given = tuple((k, v) for k, v in context.invocation_metadata() if k.startswith("x-e2e"))
    context.send_initial_metadata(given)
    context.set_trailing_metadata(given + (("x-server", NAME),))
    return b""


HANDLERS = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "Collect": grpc.stream_unary_rpc_method_handler(collect),
    "Stream": grpc.unary_stream_rpc_method_handler(stream),
    "Chat": grpc.stream_stream_rpc_method_handler(chat),
    "Hold": grpc.unary_stream_rpc_method_handler(hold),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
    "FailLate": grpc.unary_stream_rpc_method_handler(fail_late),
    "Meta": grpc.unary_unary_rpc_method_handler(meta),
}

server = grpc.server(
    futures.ThreadPoolExecutor(max_workers=32),
    options=(("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)),
)
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("e2e.Echo", HANDLERS),))
bound = server.add_insecure_port(f"127.0.0.1:{PORT}")
server.start()
print(f"listening {bound}", flush=True)
server.wait_for_termination()
