"""Stream files of HyperQueue, written as upstream's workers write them."""
import struct


def varint(n):
    if n < 251:
        return bytes([n])
    if n < 1 << 16:
        return b"\xfb" + struct.pack("<H", n)
    if n < 1 << 32:
        return b"\xfc" + struct.pack("<I", n)
    return b"\xfd" + struct.pack("<Q", n)


def header(uid="AbC123", worker=1):
    return b"hqsf0000" + varint(len(uid)) + uid.encode() + varint(worker)


def record(job, task, channel, data=b"", instance=0, ms=1_700_000_000_000):
    """A chunk of output; without data the end of the channel."""
    data = data.encode() if isinstance(data, str) else data
    numbers = (2 * ms, job, task, instance, channel, len(data))
    return b"".join(map(varint, numbers)) + data


def task(job, task, out="", err="", instance=0, ms=1_700_000_000_000):
    """All records of a task that ended."""
    chunks = [record(job, task, c, data, instance, ms) for c, data in ((0, out), (1, err))
              if data]
    return b"".join(chunks) + record(job, task, 0, b"", instance, ms + 1) + \
        record(job, task, 1, b"", instance, ms + 1)


def write(path, *records, uid="AbC123", worker=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header(uid, worker) + b"".join(records))
    return path
