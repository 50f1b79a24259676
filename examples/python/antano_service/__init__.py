"""A service plugin of antano, written from docs/protocol.md.

One thread with one asyncio loop does everything, so nothing here needs a lock:

    control    the handshake and the gRPC calls of the manager; the life of the process
    link       the relay link: what is owed, and what is awaited
    windows    how much may be sent
    ids        ids for clients
    frames     the frames of the link as bytes
    clients    the TCP clients and what they say, in JSON lines
    values     values in the other formats as JSON
    bounds     queues that are bounded in bytes, and who is asked to pause
    share      the page of counters that all processes of the service share
    log        log lines that hold nobody up
"""
