"""A WebSocket client that we did not write: joins room/7, says what comes in, and when the
server sends it away connects again. Arguments: the URL."""

import asyncio
import json
import sys

import websockets


async def talk(url):
    async with websockets.connect(url) as chat:
        await chat.send(json.dumps({"type": "join", "entity": "room", "entity_id": 7, "id": 1}))
        print(await chat.recv(), flush=True)
        async for message in chat:
            print(message, flush=True)
        print("closed", chat.close_code, chat.close_reason, flush=True)


async def main(url):
    while True:
        try:
            await talk(url)
        except (OSError, websockets.ConnectionClosed):
            pass
        await asyncio.sleep(0.05)


asyncio.run(main(sys.argv[1]))
