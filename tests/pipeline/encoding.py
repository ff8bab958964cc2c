"""Small clips for tests, encoded on the spot."""

import io
import struct

import av

_UPRIGHT = (65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)


def encode(frames, *, container="mp4", codec="mpeg4", fps=10, pts=None):
    """The bytes of a clip of RGB frames; `pts` gives each frame's time in ticks of 1/fps s."""
    out = io.BytesIO()
    with av.open(out, "w", format=container) as file:
        stream = file.add_stream(codec, rate=fps)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 8_000_000
        for index, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if pts:
                frame.pts = pts[index]
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return out.getvalue()


def turned(data, degrees):
    """An mp4 whose header asks players to turn it clockwise, as a telephone held upright writes it."""
    a, b, c, d = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}[degrees]
    place = data.index(struct.pack(">9i", *_UPRIGHT), data.index(b"tkhd"))
    matrix = struct.pack(">9i", a * 65536, b * 65536, 0, c * 65536, d * 65536, 0, 0, 0, 1 << 30)
    return data[:place] + matrix + data[place + 36 :]
