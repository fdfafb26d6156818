"""What python-socketio does with a server: python client.py URL TRANSPORT, where the server is in the mode `suite`.

Names each thing that works; the first that does not ends it with a traceback.
"""

import asyncio
import sys

import socketio

PATIENCE = 5
BYTES = bytes(range(256))


async def connected(url, transport, **options):
    client = socketio.AsyncClient(reconnection=False)
    await client.connect(url, transports=[transport], **options)
    return client


def hear(client, event, namespace="/"):
    """A queue of what arrives under a name, each as the list of its arguments."""
    queue = asyncio.Queue()
    client.on(event, lambda *values: queue.put_nowait(list(values)), namespace=namespace)
    return queue


async def get(queue):
    return await asyncio.wait_for(queue.get(), PATIENCE)


async def connects_and_learns_who_it_is(url, transport):
    client = await connected(url, transport, auth={"token": "día"})
    who = await client.call("whoami", timeout=PATIENCE)
    assert who["id"] == client.get_sid() != client.eio.sid, who
    assert who["auth"] == {"token": "día"}, who
    assert client.transport() == transport
    await client.disconnect()


async def events_go_both_ways(url, transport):
    client = await connected(url, transport)
    told = hear(client, "told")
    for values in [(), (1, "dos", None), ({"deep": [1.5, {"día": True}]},), (BYTES,), ({"bytes": [BYTES, b""]}, b"z")]:
        await client.emit("say", ("told", *values))
        assert await get(told) == list(values)
    await client.disconnect()


async def acknowledgements_go_both_ways(url, transport):
    client = await connected(url, transport)
    assert await client.call("echo", "one", timeout=PATIENCE) == "one"
    assert await client.call("echo", (1, BYTES, [None]), timeout=PATIENCE) == (1, BYTES, [None])
    answered = hear(client, "answered")
    client.on("question", lambda value: (value, "answer"))
    await client.emit("ask", ("question", BYTES))
    assert await get(answered) == [BYTES, "answer"]
    await client.disconnect()


async def order_is_kept(url, transport):
    client = await connected(url, transport)
    told = hear(client, "told")
    # This client takes at most sixteen packets in an answer to a poll, and bytes are packets of their own.
    for start in range(0, 100, 5):
        values = [number if number % 2 else b"%d" % number for number in range(start, start + 5)]
        for value in values:
            await client.emit("say", ("told", value))
        for value in values:
            assert await get(told) == [value]
    await client.disconnect()


async def namespaces_and_rooms_work(url, transport):
    names = ["/", "/other", "/dynamic-9"]
    client = await connected(url, transport, namespaces=names)
    told = {name: hear(client, "told", name) for name in names}
    for name in names:
        assert (await client.call("whoami", namespace=name, timeout=PATIENCE))["namespace"] == name
        await client.call("join", "sala", namespace=name, timeout=PATIENCE)
    other = await connected(url, transport, namespaces=["/other"])
    await other.emit("to", ("sala", "told", "hola"), namespace="/other")
    assert await get(told["/other"]) == ["hola"]
    await client.call("echo", 1, timeout=PATIENCE)
    assert told["/"].empty() and told["/dynamic-9"].empty()
    await other.disconnect()
    await client.disconnect()


async def refusals_are_told(url, transport):
    for namespace, reason in [("/unknown", "Invalid namespace"), ("/guarded", "not allowed")]:
        client = socketio.AsyncClient(reconnection=False)
        errors = hear(client, "connect_error", namespace)
        try:
            await client.connect(url, transports=[transport], namespaces=[namespace])
            raise AssertionError(f"{namespace} took it")
        except socketio.exceptions.ConnectionError:
            [error] = await get(errors)
            assert reason in str(error), error
    guest = await connected(url, transport, namespaces=["/guarded"], auth={"token": "sesame"})
    assert await guest.call("echo", 1, namespace="/guarded", timeout=PATIENCE) == 1
    await guest.disconnect()


async def the_server_may_send_it_away(url, transport):
    client = await connected(url, transport)
    gone = hear(client, "disconnect")
    await client.emit("leave-me", False)
    assert (await get(gone))[0] == client.reason.SERVER_DISCONNECT
    await client.disconnect()


async def it_lives_longer_than_a_heartbeat(url, transport):
    client = await connected(url, transport)
    await asyncio.sleep(1.5)
    assert client.connected
    assert await client.call("echo", "alive", timeout=PATIENCE) == "alive"
    await client.disconnect()


async def main(url, transport):
    for check in [
        connects_and_learns_who_it_is,
        events_go_both_ways,
        acknowledgements_go_both_ways,
        order_is_kept,
        namespaces_and_rooms_work,
        refusals_are_told,
        the_server_may_send_it_away,
        it_lives_longer_than_a_heartbeat,
    ]:
        await asyncio.wait_for(check(url, transport), 30)
        print("ok", check.__name__, flush=True)


asyncio.run(main(*sys.argv[1:]))
