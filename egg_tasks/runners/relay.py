"""The way out of a container, as a file of its own: `python -I relay.py PORT SOCKET`.

Bytes of each connection to 127.0.0.1:PORT go to the Unix socket SOCKET, and back, each direction at the pace
of who reads it and ended when it is ended. Standard library only: it runs with the image's Python. It listens
when it has written a line to its standard output, and knows nothing of what passes.
"""

import asyncio
import resource
import socket
import struct
import sys

LOOPBACK = "127.0.0.1"
QUEUE = 128
PIECE = 64 * 1024
PATIENCE_SECONDS = 10.0
"""A gateway that is not there may be starting anew: who has connected waits so long for it."""
PAUSE_SECONDS = 0.05
AT_ONCE = struct.pack("ii", 1, 0)
"""With this (`SO_LINGER`) a connection that is closed is reset."""

Way = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def relay(path: str, near: Way) -> None:
    """Pass the bytes of one connection on until both directions have ended, or one has failed."""
    ways = [near]
    try:
        ways.append(far := await reached(path))
        await asyncio.gather(passed(near[0], far[1]), passed(far[0], near[1]))
    except OSError:
        # Who has connected must see that it failed: an ordinary end would look like the whole answer.
        near[1].get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        for _, writer in ways:
            writer.transport.abort()
    finally:
        for _, writer in ways:
            writer.close()


async def reached(path: str) -> Way:
    """Connect to the gateway, which is looked for anew each time; `OSError` when it is not there for long."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while True:
        far = socket.socket(socket.AF_UNIX)
        far.settimeout(0)
        try:
            # Not by the loop: a gateway with as many waiting as it takes refuses at once (EAGAIN), and the
            # loop takes that for a connection under way.
            far.connect(path)
            return await asyncio.open_unix_connection(sock=far, limit=PIECE)
        except OSError:
            far.close()
            if asyncio.get_running_loop().time() > deadline:
                raise
        await asyncio.sleep(PAUSE_SECONDS)


async def passed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass one direction on, and its end."""
    while piece := await reader.read(PIECE):
        writer.write(piece)
        await writer.drain()
    writer.write_eof()


async def main(door: socket.socket, path: str) -> None:
    """Relay whatever comes to *door*, for good."""
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    under_way: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Of who has said all, and waits for the answer, the loop knows nothing: it would go as garbage.
        under_way.add(task := asyncio.current_task())
        try:
            await relay(path, (reader, writer))
        finally:
            under_way.discard(task)

    server = await asyncio.start_server(serve, sock=door, backlog=QUEUE, limit=PIECE)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(main(socket.create_server((LOOPBACK, int(sys.argv[1])), backlog=QUEUE), sys.argv[2]))
