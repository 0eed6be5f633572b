# SPDX-License-Identifier: MIT
"""What core/FORMAT.md says, as a reader: from a store's bytes to its keys.

Nothing here comes from the library. Checksums are verified if libxxhash can be
loaded, or the module xxhash is there.
"""
import ctypes
import ctypes.util
import itertools
import os
import struct
from collections import namedtuple

SUPERBLOCK, HEADER, ROOT = 4096, 512, 4096
KINDS = {1: "log", 2: "cold", 3: "index"}
TYPES = {1: "PUT", 2: "DEL", 3: "COUNT", 4: "MAP", 5: "HEAD", 6: "CHUNK", 7: "PATCH", 8: "NAME",
         9: "INODE", 10: "SYNC", 11: "SEAL", 12: "PAD", 13: "EXT"}
SLOT_KINDS = {1: "PUT", 2: "HEAD", 3: "MAP", 4: "NAME", 5: "CHUNK", 6: "PATCH"}
META, VERSION, TIME, DISC, LINKS, VALUE_CHECK = 1, 2, 4, 8, 32, 64  # and 16, MOVED, which no reader needs
TOP, MAP_ROOT, INODES, CHUNKS, ORPHANS, PATCHES = 1, 2, 3, 4, 6, 7
POS_BITS, CHUNK, PIECE, RECORD_MAX = 27, 32768, 4096, 245760
PIECES = CHUNK // PIECE
VALUE_CHECK_MIN = 1024
INCOMPAT = 3  # PATCH records, values with checks of their own
COUNT_OVERFLOW = (1 << 20) - 1
ALL = (1 << 64) - 1


class Damage(Exception):
    """Bytes that FORMAT.md does not allow; the text says where."""


def need(truth, where):
    if not truth:
        raise Damage(where)


# Hashes


class Hashes:
    """XXH3 from wherever there is one; None for what cannot be had."""

    def __init__(self):
        self.seeded = self.secret = None
        name = ctypes.util.find_library("xxhash")
        if name:
            library = ctypes.CDLL(name)
            args = [ctypes.c_char_p, ctypes.c_size_t]
            for function, more in (("withSeed", [ctypes.c_uint64]),
                                   ("withSecret", [ctypes.c_char_p, ctypes.c_size_t])):
                f = getattr(library, "XXH3_64bits_" + function)
                f.restype, f.argtypes = ctypes.c_uint64, args + more
            self.seeded = lambda b, s: library.XXH3_64bits_withSeed(b, len(b), s & ALL)
            self.secret = lambda b, s: library.XXH3_64bits_withSecret(b, len(b), s, len(s))
            return
        try:
            import xxhash
        except ImportError:
            return
        self.seeded = lambda b, s: xxhash.xxh3_64_intdigest(b, s & ALL)

    def check(self, data, expected, where, seed=0, mask=ALL):
        if self.seeded:
            need(self.seeded(data, seed) & mask == expected, where + ": checksum")


HASHES = Hashes()


def page(data, magic, where):
    """Frame of superblock, segment header and manifest root."""
    need(data[:8] == b"\x89bm" + magic, where + ": magic")
    HASHES.check(data[:-8], struct.unpack("<Q", data[-8:])[0], where)


# Records

Record = namedtuple("Record", "type map id count version disc time links meta key value more length "
                              "place")


def varint(data, at, end):
    value = shift = 0
    while True:
        need(at < end and shift < 64, "varint")
        byte = data[at]
        value |= (byte & 127) << shift
        at += 1
        if byte < 128:
            need(value <= ALL and (byte or not shift), "varint")
            return value, at
        shift += 7


def unzigzag(value):
    return value >> 1 ^ -(value & 1)


def signed(value):
    value &= ALL
    return value - (1 << 64) if value >> 63 else value


def record_at(segment, at):
    """The record at a byte offset of a segment."""
    data = segment.data
    where = "%08x:%d" % (segment.file_id, at)
    need(at + 16 <= len(data) and at % 8 == 0, where + ": outside")
    check, word, key_len, flags = struct.unpack_from("<IIBB", data, at)
    length, pad, more, kind = (word & 0xffffff) * 8, word >> 24 & 7, word >> 27 & 1, word >> 28
    need(16 <= length <= RECORD_MAX and at + length <= len(data), where + ": length")
    need(kind in TYPES and flags < 128, where + ": type or flags")
    end = at + length - pad
    need(not any(data[end:at + length]), where + ": padding")
    p, version, disc, time, links, meta = at + 10, None, 0, None, 0, b""
    try:
        map_id, p = varint(data, p, end)
        record_id, p = varint(data, p, end)
        count, p = varint(data, p, end)
        if flags & VERSION:
            version, p = varint(data, p, end)
        if flags & DISC:
            need(p < end, "discriminator")
            disc, p = data[p], p + 1
        if flags & TIME:
            time, p = varint(data, p, end)
            time = signed(segment.base_time + unzigzag(time))
        if flags & LINKS:
            links, p = varint(data, p, end)
            need(0 < links < 1 << 32, "links")
        need((links > 0) == (map_id == INODES and TYPES[kind] in ("PUT", "HEAD")), "links")
        need(map_id != INODES or TYPES[kind] not in ("MAP", "CHUNK", "NAME"), "type in map 3")
        need((TYPES[kind] == "PATCH") == (map_id == PATCHES) or TYPES[kind] == "DEL", "map 7")
        need(TYPES[kind] != "NAME" or map_id == MAP_ROOT or map_id >= 16, "a name's map")
        if flags & META:
            n, p = varint(data, p, end)
            need(n <= end - p, "meta")
            meta, p = data[p:p + n], p + n
        if flags & VALUE_CHECK:
            need(end - p >= 4, "value's check")
            (value_check,), p = struct.unpack_from("<I", data, p), p + 4
        need(key_len <= end - p, "key")
        value = data[p + key_len:end]
        need((len(value) >= VALUE_CHECK_MIN) == (flags & VALUE_CHECK > 0), "value's check")
    except Damage as error:
        raise Damage(where + ": " + str(error)) from None
    checked = p + key_len if flags & VALUE_CHECK else at + length
    HASHES.check(data[at + 4:checked], check, where, segment.salt + at, 0xffffffff)
    if flags & VALUE_CHECK:
        HASHES.check(value, value_check, where + ": value", 0, 0xffffffff)
    if version is None:
        version = segment.number << POS_BITS | at
    return Record(TYPES[kind], map_id, record_id, count, version, disc, time, links, meta,
                  data[p:p + key_len], value, more, length, (segment.file_id, at))


# Segments


class Segment:
    """One file, by its header."""

    def __init__(self, path, uuid):
        with open(path, "rb") as file:
            self.data = file.read()
        head, where = self.data[:HEADER], path
        need(len(head) == HEADER, where + ": too short")
        self.wiped = not any(head)
        if self.wiped:
            return
        page(head, b"SEGMT", where)
        (self.uuid, self.kind, self.size_log2, self.drive, self.file_id, self.number, self.epoch,
         self.salt, self.durable, self.base_time) = struct.unpack_from("<16sBBHIQQQQq", head, 8)
        need(self.uuid == uuid and "%08x" % self.file_id == os.path.basename(path),
             where + ": of another store or name")
        need(self.kind in KINDS, where + ": kind")
        self.end = len(self.data)

    def records(self, start=HEADER):
        """Those that are valid, in order; ends where the first is not."""
        at = start
        while self.kind != 3 and at < self.end:
            try:
                record = record_at(self, at)
            except Damage:
                return
            yield record
            at += record.length

    def frames(self, start=HEADER):
        """Whole frames: lists of records."""
        frame = []
        for record in self.records(start):
            frame.append(record)
            if not record.more:
                yield frame
                frame = []


# The store

Row = namedtuple("Row", "file_id drive kind size_log2 state number salt used live_bytes kept_bytes "
                        "n_puts n_live lowest_version kept_version base_time")
MapRow = namedtuple("MapRow", "id parent record keys maps value_bytes changed buckets_log2")
Block = namedtuple("Block", "map bucket file_id offset lines live depth chained check")
Extent = namedtuple("Extent", "file_id offset length checksum")


class Store:
    def __init__(self, path, drives):
        self.path = path
        self.problems = []
        self.superblock = self.read_superblock(path)
        if not drives and self.superblock["drives"] > 1:
            with open(os.path.join(path, "drives"), encoding="utf-8") as file:
                drives = file.read().splitlines()
        self.segments = {}
        for number, drive in enumerate([path] + drives):
            sb = self.superblock if number == 0 else self.read_superblock(drive)
            need(sb["store"] == self.superblock["store"] and sb["drive"] == number,
                 drive + ": not drive %d of this store" % number)
            self.read_segments(os.path.join(drive, "segments"))
        need(number + 1 == self.superblock["drives"], path + ": a drive is missing")
        self.read_manifest()

    def problem(self, error):
        self.problems.append(str(error))

    @staticmethod
    def read_superblock(drive):
        path = os.path.join(drive, "superblock")
        with open(path, "rb") as file:
            data = file.read()
        error = Damage(path + ": too short")
        for copy in (data[:SUPERBLOCK], data[SUPERBLOCK:2 * SUPERBLOCK]):
            try:
                need(len(copy) == SUPERBLOCK, path + ": too short")
                page(copy, b"SUPER", path)
                fields = struct.unpack_from("<HHHH16s16sQQQBBBBBxH192sq", copy, 8)
                need(fields[0] == 1 and fields[6] == INCOMPAT, path + ": another format")
                need(fields[11] == 3 and fields[3] >= 1, path + ": fields")
                return dict(zip(("major", "minor", "drive", "drives", "store", "uuid", "incompat",
                                 "ro_compat", "compat", "hash", "checksum", "unit_log2",
                                 "segment_log2_max", "buckets_log2", "max_search", "secret",
                                 "created"), fields))
            except Damage as damage:
                error = damage
        raise error

    def read_segments(self, folder):
        for name in sorted(os.listdir(folder)):
            try:
                segment = Segment(os.path.join(folder, name), self.superblock["store"])
                if not segment.wiped:
                    self.segments[segment.file_id] = segment
            except Damage as error:
                self.problem(error)

    def read_manifest(self):
        """The newest that verifies with its tables and segments."""
        self.manifest, best = None, []
        with open(os.path.join(self.path, "manifest"), "rb") as file:
            data = file.read()
        for at in (0, ROOT):
            copy = data[at:at + ROOT]
            try:
                if any(copy):
                    best.append(self.decode_root(copy, "manifest:%d" % at))
            except Damage as error:
                self.problem(error)
        for root in sorted(best, key=lambda m: -m["generation"]):
            try:
                self.read_tables(root)
                self.manifest = root
                return
            except Damage as error:
                self.problem(error)

    def decode_root(self, data, where):
        page(data, b"MANIF", where)
        fields = struct.unpack_from("<16s10Q", data, 8)
        root = dict(zip(("store", "generation", "epoch", "flags", "replay_from", "covered",
                         "next_record", "next_map", "next_data", "next_segment"), fields))
        need(root["store"] == self.superblock["store"], where + ": of another store")
        need(root["flags"] < 2 and root["replay_from"] <= root["covered"], where + ": fields")
        root["extents"] = [Extent(*struct.unpack_from("<I4xQQQ", data, 96 + 32 * i))
                           for i in range(5)]
        root["keys"], root["maps"], root["value_bytes"] = struct.unpack_from("<3Q", data, 256)
        return root

    def table(self, root, number, where):
        extent = root["extents"][number]
        if not extent.length:
            return b""
        need(extent.file_id in self.segments, where + ": its segment is missing")
        data = self.segments[extent.file_id].data[extent.offset:extent.offset + extent.length]
        need(len(data) == extent.length, where + ": outside its segment")
        HASHES.check(data, extent.checksum, where)
        return data

    def read_tables(self, root):
        pages, rows, maps, counts = (
            self.table(root, i, "table of " + name)
            for i, name in enumerate(("pages", "segments", "maps", "counts")))
        self.rows = [Row(*r) for r in struct.iter_unpack("<IHBBB7xQQQQQIIQQq8x", rows)]
        for row in self.rows:
            segment = self.segments.get(row.file_id)
            need(segment and (segment.number, segment.salt) == (row.number, row.salt),
                 "segment %08x is missing or another" % row.file_id)
            if segment.kind == 2:
                segment.end = row.used
        self.map_rows = [MapRow(*r) for r in struct.iter_unpack("<QQQQQQqB7x", maps)]
        self.counts = dict(struct.iter_unpack("<QQ", counts))
        self.blocks, at = [], 0
        while at < len(pages):
            map_id, _, _, applied, bucket, n = struct.unpack_from("<QQQQII", pages, at)
            need(applied <= root["covered"], "table of pages: a bucket beyond what is covered")
            at += 40
            need(at + 16 * n <= len(pages), "table of pages: ends within a bucket")
            for _ in range(n):
                self.blocks.append(Block(map_id, bucket, *struct.unpack_from("<IIHHBBH", pages, at)))
                at += 16

    # Keys: {(map, key): (record, count)}

    def slots(self, block):
        """(place, kind, tag, count) of each slot in use; verifies the block."""
        where = "block %08x:%d" % (block.file_id, block.offset * 64)
        need(block.file_id in self.segments, where + ": its segment is missing")
        data = self.segments[block.file_id].data
        data = data[block.offset * 64:][:64 + 64 * block.lines]
        need(len(data) == 64 + 64 * block.lines, where + ": outside its segment")
        (_, map_id, prefix, depth, kind, lines, live, chain, checksum) = struct.unpack_from(
            "<QQQBBHIQQ", data)
        HASHES.check(data[:40] + bytes(8) + data[48:], checksum, where)
        need(checksum & 0xffff == block.check, where + ": not the block that the table means")
        need((map_id, depth, kind, lines, live, chain != 0) ==
             (block.map, block.depth, 1, block.lines, block.live, block.chained & 1 != 0), where)
        used = 0
        for number, (low, high) in enumerate(struct.iter_unpack("<QQ", data[64:])):
            if low >> 57 & 7:
                used += 1
                tag = high & (1 << 40) - 1
                self.check_home(block, prefix, tag, number, where)
                yield ((low >> 24 & (1 << 21) - 1, (low & (1 << 24) - 1) * 8),
                       SLOT_KINDS.get(low >> 57 & 7), tag, high >> 40 & COUNT_OVERFLOW)
        need(used == live, where + ": slots in use")

    def bucket_bits(self, map_id):
        return next((m.buckets_log2 for m in self.map_rows if m.id == map_id), None)

    def check_home(self, block, prefix, tag, slot, where):
        bits = self.bucket_bits(block.map)
        home = ((tag << block.depth) % (1 << 40) >> 8) * block.lines >> 32
        window = block.lines if block.chained else self.superblock["max_search"] // 4
        need((slot // 4 - home) % block.lines < window, where + ": slot outside its window")
        if bits is not None:
            first = prefix << bits & ALL
            need(prefix >> (64 - bits) == block.bucket, where + ": bucket")
            need((tag << 24 ^ first) >> (64 - block.depth) == 0, where + ": prefix of a slot")

    def keys_of_index(self):
        keys = {}
        for block in self.blocks:
            bits = self.bucket_bits(block.map)
            for place, kind, tag, count in self.slots(block):
                where = "slot to %08x:%d" % place
                need(place[0] in self.segments, where + ": its segment is missing")
                record = record_at(self.segments[place[0]], place[1])
                need(record.type == kind, where + ": kind")
                if block.map == ORPHANS:
                    continue
                need(record.map == block.map, where + ": map")
                if HASHES.secret and bits is not None:
                    key_hash = HASHES.secret(record.key, self.superblock["secret"])
                    need((key_hash << bits & ALL) >> 24 == tag, where + ": tag")
                if count == COUNT_OVERFLOW:
                    need(record.id in self.counts, where + ": no such count")
                    count = self.counts[record.id]
                need((record.map, record.key) not in keys, where + ": key twice")
                keys[record.map, record.key] = record, count
        return keys

    def log_from(self, position):
        """Frames of the log from a position to its end."""
        logs = {s.number: s for s in self.segments.values() if s.kind == 1}
        number, at = position >> POS_BITS, position & (1 << POS_BITS) - 1
        while number in logs:
            following = None
            for frame in logs[number].frames(at):
                yield frame
                if frame[-1].type == "SEAL":
                    following = struct.unpack_from("<QQI", frame[-1].value)
                    break
            number, at = None, HEADER
            if following and following[0] in logs and logs[following[0]].salt == following[1]:
                number = following[0]

    def keys_now(self):
        """Index of the manifest, and the log over it."""
        keys = self.keys_of_index()
        if self.manifest["flags"] & 1:
            return keys
        ids = {}
        for key, (record, _) in keys.items():
            ids[record.id, record.map] = key
        for frame in self.log_from(self.manifest["replay_from"]):
            for r in frame:
                if r.map == ORPHANS:
                    continue
                if r.map == PATCHES:
                    mark_piece(keys, r)
                if r.type in SLOT_KINDS.values():
                    keys[r.map, r.key] = r, needed_pieces(r) if r.type == "CHUNK" else r.count
                    ids[r.id, r.map] = r.map, r.key
                elif r.type == "DEL":
                    keys.pop((r.map, r.key), None)
                elif r.type == "COUNT":
                    key = ids.get((r.id, r.map))
                    if key in keys and keys[key][0].id == r.id:
                        keys[key] = keys[key][0], r.count
        return keys

    def whole_log(self):
        """Frames of all log segments up to the first without a seal, and where that ends."""
        frames, end = [], 0
        for segment in sorted((s for s in self.segments.values() if s.kind == 1),
                              key=lambda s: s.number):
            frames += segment.frames()
            last = frames[-1][-1] if frames else None
            if not last or last.place[0] != segment.file_id:
                return frames, segment.number << POS_BITS | HEADER
            end = (segment.number << POS_BITS) + last.place[1] + last.length
            if last.type != "SEAL":
                break
        return frames, end

    def keys_rebuilt(self):
        """From all records: the highest version of each key counts."""
        newest, counts = {}, {}
        frames, end = self.whole_log()
        for segment in self.segments.values():
            if segment.kind == 2:
                # a copy of what the log lost was named by no manifest
                frames += itertools.takewhile(lambda f: f[0].version <= end, segment.frames())
        for frame in frames:
            for r in frame:
                if r.map == ORPHANS:
                    continue
                if r.type == "DEL" or r.type in SLOT_KINDS.values():
                    if r.version >= newest.get((r.map, r.key), r).version:
                        newest[r.map, r.key] = r
                if r.type in ("PUT", "MAP", "HEAD", "COUNT"):
                    if r.version >= counts.get((r.id, r.map), (0, 0))[0]:
                        counts[r.id, r.map] = r.version, r.count
        keys = {key: (r, needed_pieces(r) if r.type == "CHUNK"
                      else counts.get((r.id, r.map), (0, r.count))[1])
                for key, r in newest.items() if r.type != "DEL"}
        for (map_id, _), (record, _) in list(keys.items()):
            if map_id == PATCHES:
                mark_piece(keys, record)
        return keys


# Values


def chunk_of(patch_key):
    """(key of the chunk, number of the piece in it)"""
    data_id, piece = struct.unpack("<QQ", patch_key)
    return struct.pack("<QQ", data_id, piece // PIECES), piece % PIECES


def chunk_length(record):
    """Of a hollow one it stands above the generation."""
    length = record.count >> 32
    need(not length or (length <= CHUNK and not record.value), "a hollow chunk")
    return length or len(record.value)


def needed_pieces(record):
    """Bits of the pieces that a chunk cannot be without: all, if it is hollow."""
    return (1 << -(-chunk_length(record) // PIECE)) - 1 if record.count >> 32 else 0


def mark_piece(keys, record):
    """A chunk's count in KEYS: bits of the pieces that have a patch."""
    key, piece = chunk_of(record.key)
    if (CHUNKS, key) in keys:
        chunk, bits = keys[CHUNKS, key]
        bits = bits & ~(1 << piece) if record.type == "DEL" else bits | 1 << piece
        keys[CHUNKS, key] = chunk, bits


class Head:
    def __init__(self, value):
        need(len(value) >= 32, "head: length")
        (self.size, self.data_id, self.allocated, self.generation, chunk_log2,
         n_cuts, self.reach_log2, zero) = struct.unpack_from("<QQQIBBBB", value)
        need(chunk_log2 == 15 and len(value) == 32 + 24 * n_cuts, "head: fields")
        need(self.reach_log2 <= 29 and zero == 0, "head: reach")
        self.cuts = list(struct.iter_unpack("<QQI4x", value[32:]))

    def has(self, chunk, generation):
        return not any(first <= chunk < end and generation < cut for first, end, cut in self.cuts)
