"""What a block of vibration says, held against what is known of it: by the book, by a slow reckoning, by recordings."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import band_rms, velocity_rms_of_tones

from detectors.vibration import FEWEST_SAMPLES, G_MM_S2, Floats, envelope, features, power_spectrum
from detectors.vibration.figures import BANDS_HZ, ENVELOPE_BAND_HZ

RATE_HZ = 25_600.0
ACCELERATION, VELOCITY = "vibration_acceleration", "vibration_velocity"
DIMENSIONLESS = {"crest_factor", "kurtosis"}
STATISTICS = {"acceleration_rms", "acceleration_peak", *DIMENSIONLESS}


def tone(
    amplitude: float, frequency_hz: float, rate_hz: float = RATE_HZ, n: int = 25_600, phase: float = 0.4
) -> Floats:
    return np.asarray(amplitude * np.sin(2 * np.pi * frequency_hz * np.arange(n) / rate_hz + phase))


def noise(n: int = 25_600, seed: int = 1) -> Floats:
    return np.random.default_rng(seed).standard_normal(n)


def values(signal: Floats, rate_hz: float = RATE_HZ, quantity: str = ACCELERATION) -> dict[str, float]:
    return {name: value for name, (value, _) in features(signal, rate_hz, quantity).items()}


# By the book ----------------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(
    amplitude=st.floats(1e-3, 100),
    frequency_hz=st.floats(15, 990),
    phase=st.floats(0, 6.28),
    n=st.integers(12_800, 40_000),
)
def test_a_tone_has_the_velocity_of_the_book(amplitude: float, frequency_hz: float, phase: float, n: int) -> None:
    found = values(tone(amplitude, frequency_hz, n=n, phase=phase))
    assert found["velocity_rms"] == pytest.approx(
        amplitude * G_MM_S2 / (2 * math.pi * frequency_hz) / math.sqrt(2), 0.01
    )
    assert found["acceleration_10_1000"] == pytest.approx(amplitude / math.sqrt(2), rel=0.01)
    assert found["acceleration_rms"] == pytest.approx(amplitude / math.sqrt(2), rel=0.03)  # a part of a period over


def test_a_tone_of_whole_periods_is_exact() -> None:
    found = values(tone(2.0, 100.0))
    assert found["acceleration_rms"] == pytest.approx(math.sqrt(2), rel=1e-6)
    assert found["acceleration_peak"] == pytest.approx(2.0, rel=1e-3)
    assert found["crest_factor"] == pytest.approx(math.sqrt(2), rel=1e-3)
    assert found["kurtosis"] == pytest.approx(1.5, rel=1e-6)
    assert found["velocity_rms"] == pytest.approx(2.0 * G_MM_S2 / (2 * math.pi * 100) / math.sqrt(2), rel=1e-4)
    assert found["acceleration_1000_5000"] < 1e-3 * found["acceleration_rms"]


@pytest.mark.parametrize("frequency_hz", [3.0, 6.0, 1010.0, 4000.0])
def test_what_lies_outside_the_band_is_no_velocity_of_it(frequency_hz: float) -> None:
    velocity = 1.0 * G_MM_S2 / (2 * math.pi * frequency_hz) / math.sqrt(2)
    assert values(tone(1.0, frequency_hz, n=51_200))["velocity_rms"] < 0.01 * velocity


def test_at_the_edges_of_the_band_a_tone_still_counts() -> None:
    for frequency_hz, rate_hz, n in ((10.0, RATE_HZ, 25_600), (1000.0, RATE_HZ, 25_600), (10.0, 48_000.0, 30_000)):
        expected = G_MM_S2 / (2 * math.pi * frequency_hz) / math.sqrt(2)
        found = values(tone(1.0, frequency_hz, rate_hz, n), rate_hz)["velocity_rms"]
        assert 0.89 < found / expected < 1.0


def test_velocity_that_was_measured_is_the_same_as_velocity_from_acceleration() -> None:
    acceleration = tone(0.5, 50.0) + tone(0.2, 250.0, phase=1.0)
    velocity = tone(0.5 * G_MM_S2 / (2 * math.pi * 50.0), 50.0) + tone(
        0.2 * G_MM_S2 / (2 * math.pi * 250.0), 250.0, phase=1.0
    )
    assert values(velocity, quantity=VELOCITY)["velocity_rms"] == pytest.approx(
        values(acceleration)["velocity_rms"], rel=0.002
    )


def test_white_noise_has_the_statistics_of_noise() -> None:
    found = values(noise(100_000))
    assert found["acceleration_rms"] == pytest.approx(1.0, rel=0.02)
    assert found["kurtosis"] == pytest.approx(3.0, abs=0.1)
    for low_hz, high_hz in BANDS_HZ:  # its power lies evenly between 0 and half the rate
        share = math.sqrt((high_hz - low_hz) / (RATE_HZ / 2))
        assert found[f"acceleration_{low_hz:.0f}_{high_hz:.0f}"] == pytest.approx(share, rel=0.05)
    # The envelope of narrow noise is distributed as Rayleigh has it.
    in_band = math.sqrt((RATE_HZ / 2.56 - ENVELOPE_BAND_HZ[0]) / (RATE_HZ / 2))
    assert found["acceleration_envelope_rms"] == pytest.approx(in_band * math.sqrt(2 - math.pi / 2), rel=0.03)


@settings(max_examples=40)
@given(seed=st.integers(0, 1000), n=st.integers(FEWEST_SAMPLES, 3000), rate_hz=st.floats(100, 50_000))
def test_the_lines_of_a_spectrum_add_up_to_the_power_of_the_windowed_signal(seed: int, n: int, rate_hz: float) -> None:
    signal = noise(n, seed) + 7.0
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
    power = np.sum(((signal - signal.mean()) * window) ** 2) / np.sum(window**2)
    assert power_spectrum(signal, rate_hz).power.sum() == pytest.approx(power, rel=1e-9)


@settings(max_examples=40)
@given(to_hz=st.floats(1.0, 20_000), most=st.integers(1, 5000))
def test_buckets_of_a_spectrum_lose_no_power(to_hz: float, most: int) -> None:
    spectrum = power_spectrum(noise(3001), 10_000.0)
    width_hz, rms = spectrum.buckets(to_hz, most)
    assert len(rms) <= most
    inside = spectrum.frequency_hz <= to_hz * (1 + 1e-9)
    assert np.sum(rms**2) == pytest.approx(spectrum.power[inside].sum(), rel=1e-9)
    assert width_hz * len(rms) >= min(to_hz, 5000.0 - spectrum.step_hz)


def test_the_envelope_of_a_swelling_tone_is_its_swelling() -> None:
    t = np.arange(25_600) / RATE_HZ
    swelling = 1.0 + 0.5 * np.sin(2 * np.pi * 30 * t)
    found = envelope(swelling * np.sin(2 * np.pi * 3000 * t) + tone(20.0, 25.0), RATE_HZ, *ENVELOPE_BAND_HZ)
    cut = (len(t) - len(found)) // 2
    assert found == pytest.approx(swelling[cut : len(t) - cut], abs=0.01)


def test_impacts_raise_what_impacts_raise_and_a_hum_does_not() -> None:
    t = np.arange(25_600) / RATE_HZ
    since = t % (1 / 107.0)  # a hundred and seven blows a second
    ringing = np.exp(-since / 0.0006) * np.sin(2 * np.pi * 4000 * since)
    healthy = 0.1 * noise()
    sick, humming = values(healthy + ringing), values(healthy + tone(0.3, 4000.0))
    well = values(healthy)
    assert sick["acceleration_envelope_rms"] > 2.5 * well["acceleration_envelope_rms"]
    assert sick["kurtosis"] > 5
    assert sick["crest_factor"] > 4
    assert humming["acceleration_rms"] > sick["acceleration_rms"]
    assert humming["acceleration_envelope_rms"] < 1.6 * well["acceleration_envelope_rms"]
    assert humming["kurtosis"] < 3


# By a slow reckoning --------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(st.dictionaries(st.integers(2, 99).map(lambda n: 10.0 * n), st.floats(0.01, 5), min_size=1, max_size=4))
def test_velocity_is_what_integrating_step_by_step_gives(amplitudes: dict[float, float]) -> None:
    signal = np.sum([tone(amplitude, f, phase=f) for f, amplitude in amplitudes.items()], axis=0)
    slow = velocity_rms_of_tones([(a, f, f) for f, a in amplitudes.items()], RATE_HZ, 25_600) * G_MM_S2
    assert values(np.asarray(signal))["velocity_rms"] == pytest.approx(slow, rel=0.01)


@settings(max_examples=40)
@given(seed=st.integers(0, 1000), low=st.integers(1, 60), width=st.integers(1, 60))
def test_a_band_is_what_summing_sine_by_sine_gives(seed: int, low: int, width: int) -> None:
    signal, rate_hz = noise(300, seed), 300.0
    fast = power_spectrum(signal, rate_hz).rms(float(low), float(low + width))
    assert fast == pytest.approx(band_rms(signal.tolist(), rate_hz, float(low), float(low + width)), rel=1e-9)


# Whatever comes -------------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(
    signal=st.integers(0, 10_000).map(lambda seed: noise(4096, seed) ** 3),
    rate_hz=st.floats(1, 200_000),
    factor=st.floats(1e-6, 1e6),
    offset=st.floats(-1e3, 1e3),
)
def test_a_factor_scales_and_a_constant_changes_nothing(
    signal: Floats, rate_hz: float, factor: float, offset: float
) -> None:
    before, after = values(signal, rate_hz), values((signal + offset) * factor, rate_hz)
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert after[name] == pytest.approx(
            value if name in DIMENSIONLESS else value * factor, rel=1e-6, abs=1e-9 * factor
        )


@pytest.mark.parametrize("level", [0.0, 1.0, -9.81, 1e30])
def test_what_stands_still_has_no_shape(level: float) -> None:
    found = values(np.full(25_600, level))
    assert not DIMENSIONLESS & set(found)
    assert all(abs(value) <= 1e-9 * abs(level) for value in found.values())


@pytest.mark.parametrize(
    ("rate_hz", "n", "absent"),
    [
        (25_600.0, 25_600, set()),
        (25_600.0, 10_000, {"velocity_rms", "acceleration_10_1000"}),  # shorter than four periods of 10 Hz
        (25_599.0, 25_600, {"acceleration_5000_10000"}),
        (2_560.0, 2_560, {"acceleration_5000_10000", "acceleration_1000_5000", "acceleration_envelope_rms"}),
        (2_559.0, 2_559, set(values(noise())) - STATISTICS),
    ],
)
def test_what_a_block_cannot_tell_is_not_there(rate_hz: float, n: int, absent: set[str]) -> None:
    assert set(values(noise(n), rate_hz)) == set(values(noise())) - absent


def test_too_few_samples_say_nothing() -> None:
    assert values(noise(FEWEST_SAMPLES - 1)) == {}


def test_another_quantity_has_statistics_alone() -> None:
    assert set(features(noise(), RATE_HZ, "", "Pa")) == {"rms", "peak"} | DIMENSIONLESS
    assert features(noise(), RATE_HZ, "", "Pa")["rms"][1] == "Pa"


def test_floats_and_integers_say_the_same() -> None:
    signal = 0.7 * noise() + tone(2.0, 99.0)
    scale = 16 / 32_768
    coarse = np.rint(signal / scale).astype(np.int16).astype(np.float64) * scale
    exact, rounded = values(signal.astype(np.float32).astype(np.float64)), values(coarse)
    assert rounded == pytest.approx(exact, rel=2e-3)


@settings(max_examples=40)
@given(st.binary(min_size=2 * FEWEST_SAMPLES, max_size=4096).map(lambda b: b[: len(b) // 2 * 2]), st.floats(1, 200_000))
def test_any_samples_give_numbers(content: bytes, rate_hz: float) -> None:
    for quantity in (ACCELERATION, VELOCITY, ""):
        for value, _ in features(np.frombuffer(content, "<i2").astype(np.float64), rate_hz, quantity).values():
            assert math.isfinite(value)
            assert value >= 0


# By recordings --------------------------------------------------------------------------------------------------------


def test_bearings_that_are_damaged_show_it(recordings: Path) -> None:
    """Drive-end bearing 6205 at 1797 rpm and 48 kHz; the fault is in the file's name."""
    found = {}
    for name in ("Normal", "IR_7_DE48", "B_7_DE48", "OR@6_7_DE48"):
        with np.load(recordings / f"CWRU/1797_{name}.npz", allow_pickle=False) as file:
            found[name] = values(file["DE"].ravel()[:96_000].astype(np.float64), 48_000.0)
    normal = found.pop("Normal")
    assert normal["kurtosis"] == pytest.approx(2.8, abs=0.2)
    for fault in found.values():
        assert fault["acceleration_envelope_rms"] > 1.5 * normal["acceleration_envelope_rms"]
        assert fault["acceleration_rms"] > 1.5 * normal["acceleration_rms"]
    for name in ("IR_7_DE48", "OR@6_7_DE48"):
        assert found[name]["kurtosis"] > 5
        assert found[name]["acceleration_envelope_rms"] > 5 * normal["acceleration_envelope_rms"]


def test_snapshots_of_failing_bearings_agree_with_the_published_figures(recordings: Path) -> None:
    """RMS and kurtosis of each snapshot, as they stand in the features that came with the recordings."""
    compared = 0
    for folder in sorted((recordings / "PRONOSTIA/raw_snapshots").iterdir()):
        table = np.genfromtxt(
            recordings / f"PRONOSTIA/features/Learning_set_{folder.name}.csv", delimiter=",", names=True
        )
        for file in sorted(folder.glob("acc_*.csv"))[::4]:
            at = int(file.stem.removeprefix("acc_")) - 1
            if at >= len(table):
                continue
            signal = np.loadtxt(file, delimiter=",", usecols=4)
            found = values(signal, 25_600.0)
            assert found["acceleration_rms"] == pytest.approx(float(table["rms_h"][at]), rel=0.02)
            assert found["kurtosis"] == pytest.approx(float(table["kurt_h"][at]), rel=0.02)
            compared += 1
    assert compared > 5


def test_a_bearing_near_its_end_is_louder_than_in_health(recordings: Path) -> None:
    for folder in sorted((recordings / "PRONOSTIA/raw_snapshots").iterdir()):
        files = sorted(folder.glob("acc_*.csv"))
        early, late = (values(np.loadtxt(file, delimiter=",", usecols=4), 25_600.0) for file in (files[0], files[-1]))
        assert late["acceleration_envelope_rms"] > 1.5 * early["acceleration_envelope_rms"], folder.name
