"""From sound files to samples: every kind that is taken, and what is said of the others."""

import copy
import io
import struct
from typing import Any
from weakref import WeakSet

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from regraft.contract import AudioInputs
from regraft.errors import InvalidInputError, RegraftError, TooLargeError
from regraft_speech.sound import Sound, decode, duration, resampled, samples

KINDS = {
    "WAV": ("WAV", "PCM_16", 2e-4),
    "24 bits": ("WAV", "PCM_24", 1e-6),
    "FLAC": ("FLAC", "PCM_16", 2e-4),
    "OGG": ("OGG", "VORBIS", 0.05),
    "MP3": ("MP3", "MPEG_LAYER_III", 0.05),
}
INPUTS = AudioInputs((), 16_000, 0.1, 0.5)


def wave(seconds: float = 0.5, rate: int = 22_050, channels: int = 1) -> Any:
    time = np.arange(round(seconds * rate)) / rate
    one = 0.4 * np.sin(2 * np.pi * 440 * time)
    return np.stack([one * (1 - 0.5 * n) for n in range(channels)], 1)


def written(values: Any, rate: int = 22_050, kind: str = "WAV", **more: Any) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, values, rate, format=kind, **more)
    return file.getvalue()


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_read(name: str) -> None:
    kind, subtype, tolerance = KINDS[name]
    values, rate = decode(written(wave(), kind=kind, subtype=subtype))
    assert (rate, values.dtype) == (22_050, np.float32)
    middle = slice(2000, 9000)
    difference = values[middle] - wave()[middle, 0]
    assert np.abs(difference).max() < tolerance


@pytest.mark.parametrize("name", KINDS)
def test_one_that_was_looked_at_is_read_again_and_again(name: str) -> None:
    kind, subtype, _ = KINDS[name]
    content = written(np.random.default_rng(0).normal(0, 0.1, 30_000), kind=kind, subtype=subtype)
    sound, (values, _) = Sound.of(content), decode(content)
    for longest in (300, 0.5, 300):
        again, _ = decode(sound, longest)
        np.testing.assert_allclose(again, values[: len(again)], atol=1e-6)
        assert duration(sound) == duration(content)
    assert len(again) == len(values)


def test_so_many_stay_open_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regraft_speech.sound.OPEN", WeakSet())
    monkeypatch.setattr("regraft_speech.sound.MOST_OPEN", 2)
    content = written(wave())
    sounds = [Sound.of(content) for _ in range(3)]
    assert [len(sound.kept) for sound in sounds] == [1, 1, 0]
    assert all(len(decode(sound)[0]) == len(wave()) for sound in sounds)
    assert Sound.of(content).kept, "those that were read are closed"
    assert duration(copy.deepcopy(sounds[0])) == duration(content)


def test_one_that_took_long_to_open_is_closed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regraft_speech.sound.QUICK", 0)
    sound = Sound.of(written(wave()))
    assert not sound.kept
    assert len(decode(sound)[0]) == len(wave())


@pytest.mark.parametrize(("flags", "footer"), [(0, b""), (0x10, b"3DI\4\0\x10\0\0\1\4")])
@pytest.mark.parametrize("kind", ["MP3", "FLAC"])
def test_tags_before_the_sound_are_skipped(kind: str, flags: int, footer: bytes) -> None:
    content = written(wave(), kind=kind)
    tag = b"ID3\4\0" + bytes([flags]) + b"\0\0\1\4" + bytes(132) + footer
    expected, rate = decode(content)
    for tags in (tag, tag * 2):
        values, found = decode(tags + content)
        assert found == rate
        np.testing.assert_array_equal(values, expected)
    with pytest.raises(InvalidInputError, match="WAV, FLAC, OGG and MP3"):
        decode(tag * 9 + content)


def test_channels_are_averaged() -> None:
    values, _ = decode(written(wave(channels=2)))
    np.testing.assert_allclose(values, 0.75 * wave()[:, 0], atol=1e-4)


def test_resampling_keeps_the_pitch() -> None:
    values = resampled(*decode(written(wave(1, 44_100), 44_100)), 16_000)
    assert abs(len(values) - 16_000) <= 1
    spectrum = np.abs(np.fft.rfft(values[:16_000]))
    assert spectrum.argmax() == 440


def test_what_is_longer_than_the_source_takes_is_cut() -> None:
    found = samples(written(wave(2)), INPUTS)
    assert len(found) == 8_000
    np.testing.assert_array_equal(samples(np.ones(9_000, np.float32), INPUTS), np.ones(8_000))


@pytest.mark.parametrize("name", [name for name in KINDS if name != "MP3"])
@pytest.mark.parametrize("kept", [0.3, 0.7, 0.99])
def test_file_that_was_cut_off_is_refused(name: str, kept: float) -> None:
    kind, subtype, _ = KINDS[name]
    whole = written(np.random.default_rng(0).normal(0, 0.1, 30_000), kind=kind, subtype=subtype)
    with pytest.raises(InvalidInputError, match=r"cut off|damaged"):
        decode(whole[: int(len(whole) * kept)])


def test_wav_of_unknown_size_is_read_to_its_end() -> None:
    content = bytearray(written(wave()))
    content[4:8] = struct.pack("<I", 0xFFFFFFFF)
    assert len(decode(bytes(content))[0]) == len(wave())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "WAV, FLAC, OGG and MP3"),
        (b"hello, I am a text", "WAV, FLAC, OGG and MP3"),
        (written(wave(0)), "holds no sound"),
        (written(wave(), kind="AIFF"), "WAV, FLAC, OGG and MP3"),
        (written(wave(), rate=100), "sample rate of 100 Hz"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(content: bytes, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        decode(content)


def test_a_wav_of_many_cue_lists_is_refused_before_they_are_read() -> None:
    content = written(wave())
    cue = b"cue " + struct.pack("<II", 4, 1000)
    assert len(decode(content + 16 * cue)[0]) == len(wave())
    with pytest.raises(InvalidInputError, match="cue points"):
        decode(content + 100_000 * cue)


def test_ten_minutes_are_refused_by_the_header_alone() -> None:
    content = written(np.zeros(600 * 8_000), 8_000, "FLAC")
    with pytest.raises(TooLargeError, match=r"lasts 600 s.*at most 300 s"):
        duration(content)


def test_five_minutes_are_taken_and_no_sample_more() -> None:
    longest = np.zeros(300 * 8_000)
    assert duration(written(longest, 8_000, "FLAC")) == 300
    with pytest.raises(TooLargeError, match="at most 300 s"):
        duration(written(np.append(longest, 0), 8_000, "FLAC"))


@given(data=st.data())
def test_damage_raises_nothing_but_our_errors(data: st.DataObject) -> None:
    kind, subtype, _ = KINDS[data.draw(st.sampled_from(sorted(KINDS)))]
    content = bytearray(written(wave(0.1), kind=kind, subtype=subtype))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        values, _ = decode(bytes(content))
    except RegraftError:
        return
    assert len(values) > 0


def test_float_samples_are_finite_and_within_one() -> None:
    loud = written(wave() * 9, subtype="FLOAT")
    assert np.abs(decode(loud)[0]).max() == 1
    broken = wave()
    broken[7] = np.nan
    with pytest.raises(InvalidInputError, match="not finite"):
        decode(written(broken, subtype="FLOAT"))
