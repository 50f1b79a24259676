"""A chat over UDP: prints what is said in room 7, and says there each line of its input.

    python3 udp.py NAME [HOST] [PORT]
"""

import json
import socket
import sys
import threading

name = sys.argv[1]
host = sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1"
port = int(sys.argv[3]) if len(sys.argv) > 3 else 18001
room = {"entity": "room", "entity_id": 7}

chat = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
chat.connect((host, port))


def say(message):
    chat.send(json.dumps(message).encode())


def hear():
    while True:
        said = json.loads(chat.recv(65536))
        if said["type"] == "message":
            value = said["message"]
            if isinstance(value, dict) and "text" in value:
                value = f"{value.get('name')}: {value['text']}"
            print(value, flush=True)
        elif said["type"] == "joined":
            print("joined", flush=True)
        elif said["type"] == "error":
            print(said["error"], file=sys.stderr, flush=True)


threading.Thread(target=hear, daemon=True).start()
say({"type": "join", **room})
for line in sys.stdin:
    say({**room, "message": {"name": name, "text": line.rstrip("\n")}})
