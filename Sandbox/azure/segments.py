"""Where content lies: a log of segment files. A body is written once, as it arrives; committing it moves only its extent.

An extent is (segment, offset, length). A segment whose bytes nobody refers to any more is removed."""
import os

STEP = 1 << 20


class Segment:
    __slots__ = ("path", "fd", "end", "live")

    def __init__(self, path):
        self.path, self.end, self.live = path, 0, 0
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)


class Segments:
    def __init__(self, folder, roll):
        os.makedirs(folder, exist_ok=True)
        for left in os.listdir(folder):
            if left.endswith(".segment"):
                os.unlink(os.path.join(folder, left))          # of a stand-in that was killed
        self.folder, self.roll, self.number, self.open = folder, roll, 0, set()
        self.current = self._new()

    def _new(self):
        self.number += 1
        segment = Segment(os.path.join(self.folder, f"{self.number:06d}.segment"))
        self.open.add(segment)
        return segment

    def reserve(self, length):
        if self.current.end + length > self.roll and self.current.end:
            full, self.current = self.current, self._new()
            self._sweep(full)
        segment = self.current
        extent = (segment, segment.end, length)
        segment.end += length
        segment.live += length
        return extent

    def store(self, data):
        extent = self.reserve(len(data))
        self.write(extent, 0, data)
        return extent

    @staticmethod
    def write(extent, at, data):
        fd, offset = extent[0].fd, extent[1] + at
        written = os.pwrite(fd, data, offset)
        while written < len(data):
            written += os.pwrite(fd, data[written:], offset + written)

    @staticmethod
    def retain(extents):
        for segment, _, length in extents:
            segment.live += length

    def release(self, extents):
        for segment, _, length in extents:
            segment.live -= length
            if not segment.live:
                self._sweep(segment)

    def _sweep(self, segment):
        if segment is not self.current and not segment.live and segment in self.open:
            self.open.remove(segment)
            os.close(segment.fd)
            os.unlink(segment.path)

    @staticmethod
    def read(extents, start, count):
        """Pieces of at most STEP bytes."""
        for segment, offset, length in extents:
            if start >= length:
                start -= length
                continue
            take = min(length - start, count)
            at, until = offset + start, offset + start + take
            while at < until:
                piece = os.pread(segment.fd, min(STEP, until - at), at)
                if not piece:
                    raise OSError(f"{segment.path} is shorter than its extents")
                at += len(piece)
                yield piece
            count -= take
            start = 0
            if not count:
                return

    def close(self):
        for segment in self.open:
            os.close(segment.fd)
            os.unlink(segment.path)
        self.open = set()


def add(extents, extent):
    """Appends an extent, as part of the last one where it follows it on disk."""
    if extents and extents[-1][0] is extent[0] and extents[-1][1] + extents[-1][2] == extent[1]:
        extents[-1] = (extent[0], extents[-1][1], extents[-1][2] + extent[2])
    else:
        extents.append(extent)
