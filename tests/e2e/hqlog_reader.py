#!/usr/bin/env python3
"""A reader of output logs written from docs/format-outlog.md alone.

It shares no code with the C reader: tests let both read the same files and compare.
    hqlog_reader.py FILE             one JSON line a run: job, task, instance, state, sums
    hqlog_reader.py FILE --index     the same, but blocks found through the indexes
Needs libxxhash and libzstd at run time.
"""
import argparse, bisect, ctypes, ctypes.util, json, struct, sys
from collections import namedtuple

MAGIC = bytes.fromhex("8948514C0D0A1A0A")
STATES = ["unfinished", "finished", "failed", "canceled", "aborted", "timeout"]
Block = namedtuple("Block", "job task instance seq type flags time output end offset inner")


class BadLog(Exception):
    pass


def load_library(name):
    lib = ctypes.util.find_library(name)
    if not lib:
        raise BadLog(f"lib{name} is not installed")
    return ctypes.CDLL(lib)


_xxh = load_library("xxhash")
_xxh.XXH3_64bits_withSeed.restype = ctypes.c_uint64
_xxh.XXH3_64bits_withSeed.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64]


def xxh3(data, seed=0):
    data = bytes(data)
    return _xxh.XXH3_64bits_withSeed(data, len(data), seed)


_zstd = None


def unpack_frame(data):
    global _zstd
    if _zstd is None:
        _zstd = load_library("zstd")
        _zstd.ZSTD_decompress.restype = ctypes.c_size_t
        _zstd.ZSTD_getFrameContentSize.restype = ctypes.c_ulonglong
    size = _zstd.ZSTD_getFrameContentSize(data, ctypes.c_size_t(len(data)))
    if size > 4 << 20:
        return None
    out = ctypes.create_string_buffer(max(size, 1))
    n = _zstd.ZSTD_decompress(out, ctypes.c_size_t(size), data, ctypes.c_size_t(len(data)))
    return out.raw[:size] if n == size else None


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def unzigzag(v):
    return (v >> 1) ^ (0xFFFFFFFFFFFFFFFF if v & 1 else 0)


def align8(n):
    return (n + 7) & ~7


class Log:
    def __init__(self, path):
        with open(path, "rb") as f:
            self.data = f.read()
        self.damage = []
        self.groups = {}  # blocks of the groups looked at last
        try:
            self.read_superblock()
        except BadLog:
            self.recover_identity()
        self.key = struct.pack("<Q", xxh3(self.uid))
        self.slot = self.read_slots()

    def read_superblock(self):
        d = self.data
        if len(d) < 4096 or d[:8] != MAGIC:
            raise BadLog("not an output log")
        version, = struct.unpack_from("<H", d, 8)
        order, = struct.unpack_from("<I", d, 12)
        check, = struct.unpack_from("<Q", d, 4088)
        if order != 0x01020304:
            raise BadLog("byte order")
        if version != 1:
            raise BadLog(f"version {version}")
        if check != xxh3(d[:4088]):
            raise BadLog("damaged superblock")
        must, = struct.unpack_from("<Q", d, 40)
        if must & ~1:
            raise BadLog(f"unknown features {must:#x}")
        self.uid = d[48:64]
        self.align = 1 << d[80]
        self.server_uid = d[96:128].rstrip(b"\0").decode()

    def recover_identity(self):
        """Extent headers repeat what the superblock says."""
        d = self.data
        for pos in [12288] + [i << 20 for i in range(1, 257)]:
            raw = d[pos + 256 : pos + 384]
            if len(raw) == 128 and raw[8:12] == b"HQLI" and struct.unpack_from("<Q", raw)[0] == xxh3(raw[8:]):
                self.uid, self.align = raw[16:32], 1 << raw[14]
                self.server_uid = raw[48:80].rstrip(b"\0").decode()
                return
        raise BadLog("no superblock and no extent header")

    def seed(self, offset):
        return xxh3(self.key + struct.pack("<Q", offset))

    def sealed_ok(self, offset, length):
        """A structure whose first 8 bytes are the check over the rest."""
        raw = self.data[offset : offset + length]
        if len(raw) < length:
            return False
        return struct.unpack_from("<Q", raw)[0] == xxh3(raw[8:], self.seed(offset))

    # ---- extents

    def extents(self, start=12288):
        """Yields (offset, end, header or None); header: (kind, worker, rank, host, close)."""
        pos, size = start, len(self.data)
        loose = None  # beginning of a stretch without header
        while pos < size:
            header = self.extent_at(pos)
            if header is None:
                loose = pos if loose is None else loose
                pos = (pos // self.align + 1) * self.align
                continue
            if loose is not None:
                yield loose, pos, None
                loose = None
            yield pos, pos + header["length"], header
            pos = -(-(pos + header["length"]) // self.align) * self.align
        if loose is not None:
            yield loose, size, None

    def extent_at(self, pos):
        d = self.data
        if d[pos + 8 : pos + 12] != b"HQLX" or not self.sealed_ok(pos, 128):
            return None
        kind = d[pos + 12]
        own, length, lease, worker, rank, opened, clock = struct.unpack_from("<QQQIiQq", d, pos + 16)
        if own != pos:
            return None
        host = d[pos + 64 : pos + 128].rstrip(b"\0").decode()
        close = None
        if d[pos + 136 : pos + 140] == b"HQLC" and self.sealed_ok(pos + 128, 128):
            close = struct.unpack_from("<QQQ", d, pos + 144)  # end, index bytes, blocks
        return dict(kind=kind, length=length, worker=worker, rank=rank, host=host, close=close)

    # ---- blocks

    def header_at(self, pos):
        raw = self.data[pos : pos + 48]
        if len(raw) < 48 or raw[4:8] != b"HQLB":
            return None
        if struct.unpack_from("<I", raw)[0] != xxh3(raw[4:], self.seed(pos)) & 0xFFFFFFFF:
            return None
        return raw

    def payload_at(self, pos, raw):
        n, check = struct.unpack_from("<IQ", raw, 12)
        payload = self.data[pos + 48 : pos + 48 + n]
        if len(payload) < n or check != xxh3(payload, self.seed(pos)):
            return None
        return payload

    @staticmethod
    def make_block(raw, payload, offset, inner):
        job, task, instance, seq, time = struct.unpack_from("<IIIIQ", raw, 24)
        end = None
        if raw[9] & 1:
            end = struct.unpack("<BBBBiQQQQ", payload[-40:])
            payload = payload[:-40]
        return Block(job, task, instance, seq, raw[8], raw[9], time, payload, end, offset, inner)

    def blocks_at(self, pos, raw, payload):
        """One block, or those of a group."""
        if raw[8] != 8:
            yield self.make_block(raw, payload, pos, None)
            return
        content = unpack_frame(payload)
        if content is None:
            self.damage.append((pos, len(payload)))
            return
        at = 0
        while at < len(content):
            inner = content[at : at + 48]
            n, = struct.unpack_from("<I", inner, 12)
            yield self.make_block(inner, content[at + 48 : at + 48 + n], pos, at)
            at += align8(48 + n)

    def search(self, pos, end):
        """The next place with a valid block header."""
        while pos < end:
            at = self.data.find(b"HQLB", pos + 4, end)
            if at < 0:
                return end
            pos = at - 4
            if pos % 8 == 0 and self.header_at(pos) is not None:
                return pos
            pos += 1
        return end

    def walk(self, pos, end):
        """All valid blocks in [pos, end)."""
        end = min(end, len(self.data))
        while pos < end:
            raw = self.header_at(pos)
            if raw is None:
                nxt = self.search(pos, end)
                if self.data[pos:nxt].strip(b"\0"):
                    self.damage.append((pos, nxt - pos))
                pos = nxt
                continue
            n, = struct.unpack_from("<I", raw, 12)
            payload = self.payload_at(pos, raw) if pos + 48 + n <= end else None
            if payload is None:
                self.damage.append((pos, n))
            else:
                yield from self.blocks_at(pos, raw, payload)
            pos += align8(48 + n)

    def scan(self, start=12288):
        for offset, end, header in self.extents(start):
            if header is None:
                yield from self.walk(offset, end)
            elif header["kind"] == 1:
                if header["close"]:
                    end = header["close"][0]
                yield from self.walk(offset + 384, end)

    # ---- indexes

    def page(self, pos, end):
        d = self.data
        if d[pos + 8 : pos + 12] != b"HQLN":
            raise BadLog(f"no page at {pos}")
        kind, count, length = d[pos + 12], *struct.unpack_from("<HH", d, pos + 14)
        if pos + length > end or not self.sealed_ok(pos, length):
            raise BadLog(f"damaged page at {pos}")
        return kind, count, length

    def leaf(self, pos, count):
        """Yields (key, offset, inner, output, time, type, has_end, state)."""
        d, at = self.data, pos + 24
        job = task = instance = seq = place = time = 0
        for _ in range(count):
            control = d[at]
            at += 1
            form = control & 3
            if form == 0:
                seq += 1
            elif form == 1:
                diff, at = varint(d, at)
                task, instance, seq = task + diff + 1, 0, 0
            elif form == 2:
                job, at = varint(d, at)
                task, at = varint(d, at)
                instance, at = varint(d, at)
                seq, at = varint(d, at)
            else:
                instance, at = varint(d, at)
                seq, at = varint(d, at)
            diff, at = varint(d, at)
            place = (place + unzigzag(diff)) & 0xFFFFFFFFFFFFFFFF
            inner = None
            if control & 64:
                inner, at = varint(d, at)
                inner *= 8
            output, at = varint(d, at)
            diff, at = varint(d, at)
            time = (time + unzigzag(diff)) & 0xFFFFFFFFFFFFFFFF
            state = 0
            if control & 16:
                state = d[at]
                at += 1
            yield (job, task, instance, seq), place * 8, inner, output, time, control >> 2 & 3, bool(control & 16), state

    def leaves(self, pos, end):
        while pos < end:
            kind, count, length = self.page(pos, end)
            if kind != 0:
                raise BadLog(f"page of kind {kind} among the leaves")
            yield from self.leaf(pos, count)
            pos += length

    def read_slots(self):
        best = None
        for pos in (4096, 8192):
            if self.data[pos + 8 : pos + 12] != b"HQLS" or not self.sealed_ok(pos, 512):
                continue
            v = struct.unpack_from("<IQQQQQQQII QQ Q QQQQQ QQ QQ II", self.data, pos + 12)
            slot = dict(zip("levels generation time covered extent leaves leaves_bytes root root_bytes zero "
                            "jobs jobs_bytes damaged n_jobs n_tasks n_runs n_blocks n_unfinished "
                            "out err old_out old_err max_job max_task".split(), v))
            if best is None or slot["generation"] > best["generation"]:
                best = slot
        return best

    def entry_block(self, entry):
        """The block that an index entry names."""
        key, offset, inner, output, time, type_, has_end, state = entry
        if inner is None or offset not in self.groups:
            raw = self.header_at(offset)
            payload = self.payload_at(offset, raw) if raw else None
            if payload is None:
                raise BadLog(f"index names {offset}, where no block is")
            self.groups[offset] = {b.inner: b for b in self.blocks_at(offset, raw, payload)}
            if len(self.groups) > 64:
                del self.groups[next(iter(self.groups))]
        b = self.groups[offset].get(inner)
        if b:
            got = (b.job, b.task, b.instance, b.seq), len(b.output), b.time, b.type, b.end is not None
            if got != (key, output, time, type_, has_end) or (b.end and b.end[0] != state):
                raise BadLog(f"index and block differ at {offset}: {entry} {got}")
            return b
        raise BadLog(f"group at {offset} has nothing at {inner}")

    def indexed(self):
        """All blocks through tree and extent indexes; extents without one are walked."""
        start = 12288
        if self.slot:
            start = self.slot["covered"]
            self.check_tree()
            for e in self.leaves(self.slot["leaves"], self.slot["leaves"] + self.slot["leaves_bytes"]):
                yield self.entry_block(e)
        for offset, end, header in self.extents(start):
            if header is None:
                yield from self.walk(offset, end)
            elif header["kind"] == 1 and header["close"] and header["close"][1]:
                stop, n, n_blocks = header["close"]
                entries = list(self.leaves(stop, stop + n))
                if len(entries) != n_blocks:
                    raise BadLog(f"{len(entries)} entries for {n_blocks} blocks")
                for e in entries:
                    yield self.entry_block(e)
            elif header["kind"] == 1:
                yield from self.walk(offset + 384, header["close"][0] if header["close"] else end)

    def inner_entries(self, pos, level):
        kind, count, length = self.page(pos, len(self.data))
        if kind != level:
            raise BadLog(f"kind {kind} where level {level} should be")
        for i in range(count):
            yield struct.unpack_from("<IIIIQI", self.data, pos + 24 + 32 * i)

    def check_tree(self):
        """From the root down every leaf is reached once, in order, by its first key."""
        if not self.slot["root"]:
            return
        pages = [((), self.slot["root"])]
        for level in range(self.slot["levels"] - 1, 0, -1):
            pages = [(tuple(e[:4]), e[4]) for _, pos in pages for e in self.inner_entries(pos, level)]
        pos = self.slot["leaves"]
        for first, at in pages:
            if at != pos:
                raise BadLog(f"leaf at {pos} is not where the tree says: {at}")
            kind, count, length = self.page(at, len(self.data))
            if first and next(self.leaf(at, count))[0] != first:
                raise BadLog(f"first key of the leaf at {at}")
            pos += length
        if pos != self.slot["leaves"] + self.slot["leaves_bytes"]:
            raise BadLog("leaves that the tree does not reach")

    def lookup(self, job, task):
        """Entries of one task by descending the tree."""
        pos = self.slot["root"]
        for level in range(self.slot["levels"] - 1, 0, -1):
            entries = list(self.inner_entries(pos, level))
            i = bisect.bisect_left([e[:4] for e in entries], (job, task, 0, 0))
            pos = entries[max(i - 1, 0)][4]
        end = self.slot["leaves"] + self.slot["leaves_bytes"]
        for e in self.leaves(pos, end):
            if e[0][:2] == (job, task):
                yield e
            elif e[0][:2] > (job, task):
                return


def runs_of(blocks):
    """Runs in the order of (job, task, instance), as dicts."""
    runs = {}
    for b in blocks:
        runs.setdefault((b.job, b.task, b.instance), {})[b.seq] = b
    newest = {}
    for job, task, instance in runs:
        newest[job, task] = max(newest.get((job, task), 0), instance)
    for (job, task, instance), by_seq in sorted(runs.items()):
        seqs = sorted(by_seq)
        out = b"".join(by_seq[s].output for s in seqs if by_seq[s].type == 1)
        err = b"".join(by_seq[s].output for s in seqs if by_seq[s].type == 2)
        end = next((by_seq[s].end for s in seqs if by_seq[s].end), None)
        yield dict(job=job, task=task, instance=instance, superseded=newest[job, task] != instance,
                   gaps=seqs != list(range(len(seqs))), state=STATES[end[0] if end else 0],
                   exit_code=end[4] if end and not end[1] else None, signal=end[1] or None if end else None,
                   cut=bool(end and end[2] & 1), stdout_size=len(out), stderr_size=len(err), out=out, err=err)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("file")
    p.add_argument("--index", action="store_true")
    a = p.parse_args()
    log = Log(a.file)
    for run in runs_of(log.indexed() if a.index else log.scan()):
        run["out"] = f"{xxh3(run['out']):016x}"
        run["err"] = f"{xxh3(run['err']):016x}"
        print(json.dumps(run, sort_keys=True))
    for at, n in log.damage:
        print(f"damage at {at}: {n} bytes", file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except BadLog as e:
        sys.exit(f"{e}")
