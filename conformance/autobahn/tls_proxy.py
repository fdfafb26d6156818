"""Puts TLS on one side of a TCP connection, because the Autobahn|Testsuite speaks none.

    tls_proxy.py originate LISTEN_PORT TARGET_PORT CA.pem          plain in, TLS out: for a server under test
    tls_proxy.py terminate LISTEN_PORT TARGET_PORT CERT.pem KEY.pem   TLS in, plain out: for a client under test

Both ends are on 127.0.0.1. Prints `ready` when it listens. Octets pass unchanged and a half-closed plain side is
passed on as far as TLS can express it: the end of one direction ends the other side's stream.
"""

import asyncio
import ssl
import sys

CHUNK = 64 * 1024


async def pump(reader, writer):
    try:
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    except (ConnectionError, ssl.SSLError):
        pass  # The other direction learns of it by the close below.
    finally:
        writer.close()


async def serve(listen_port, target_port, inside, outside):
    connections = set()

    async def join(reader, writer):
        connections.add(asyncio.current_task())
        asyncio.current_task().add_done_callback(connections.discard)
        try:
            far_reader, far_writer = await asyncio.open_connection(
                '127.0.0.1', target_port, ssl=outside, server_hostname='localhost' if outside else None)
        except OSError as error:
            print(f'cannot reach 127.0.0.1:{target_port}: {error}', file=sys.stderr, flush=True)
            writer.close()
            return
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

    server = await asyncio.start_server(join, '127.0.0.1', listen_port, ssl=inside)
    print('ready', flush=True)
    async with server:
        await server.serve_forever()


def main():
    direction, listen_port, target_port, *files = sys.argv[1:]
    inside = outside = None
    if direction == 'originate':
        outside = ssl.create_default_context(cafile=files[0])
    else:
        inside = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        inside.load_cert_chain(files[0], files[1])
    asyncio.run(serve(int(listen_port), int(target_port), inside, outside))


if __name__ == '__main__':
    main()
