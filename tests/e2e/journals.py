"""What tests of the journal's commands share."""
import json
import struct


def events(result):
    """Events of event lines, without their times."""
    return [json.loads(line)["event"] for line in result.stdout.splitlines()]


def types(result):
    return [event["type"] for event in events(result)]


def flushed(env, path="j"):
    """All events of the server's journal, as `export` prints them."""
    env.hq("journal", "flush")
    return events(env.hq("journal", "export", path))


def of_type(list_of_events, *wanted):
    return [event for event in list_of_events if event["type"] in wanted]


def records(path):
    """(offset, size) of each record: a frame of 16 bytes and the payload behind it."""
    data = path.read_bytes()
    at, found = struct.unpack_from("<I", data, 12)[0], []
    while at < len(data):
        size = 16 + struct.unpack_from("<I", data, at)[0]
        found.append((at, size))
        at += size
    return found
