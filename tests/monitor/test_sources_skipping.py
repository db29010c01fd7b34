"""What need not be decoded is left out, and never a sample: checked on the numbers alone."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from monitor.sources.sampling import SampleGrid, index_at
from monitor.sources.skipping import SkipPlan, Stamp


def plan(grid: SampleGrid, *groups: list[int]) -> list[list[tuple[bool, bool]]]:
    """(decode, sampled) of each packet; each group is the times of its packets in decoding order."""
    skip = SkipPlan(grid.index)
    stamps = [[Stamp(pts, key=i == 0) for i, pts in enumerate(group)] for group in groups]
    plans = []
    for number, group in enumerate(stamps):
        ahead = [stamp for later in stamps[number + 1 :] for stamp in later]
        plans.append([(part.decode, part.sampled) for part in skip.plan(group, ahead)])
    return plans


def grid(rate: float) -> SampleGrid:
    return SampleGrid.of(rate, Fraction(1, 10))


def test_the_rest_of_a_group_after_its_last_sample_is_dropped() -> None:
    (first, second) = plan(grid(1.0), list(range(15)), list(range(15, 30)))
    assert [sampled for _, sampled in first] == [i in (0, 10) for i in range(15)]
    assert [decode for decode, _ in first] == [i <= 10 for i in range(15)]
    assert [decode for decode, _ in second] == [True] * 15  # no key frame follows: the end


def test_a_group_without_a_sample_is_dropped_whole() -> None:
    plans = plan(grid(0.2), *([base + i for i in range(10)] for base in range(0, 60, 10)))
    assert [any(decode for decode, _ in group) for group in plans] == [True, False, False, False, False, True]


def test_reordered_frames_are_told_by_their_time() -> None:
    (first, _) = plan(grid(1.0), [0, 9, 3, 6, 12, 10, 11], [15])
    assert [sampled for _, sampled in first] == [True, False, False, False, False, True, False]


def test_a_group_is_kept_when_a_sample_before_the_next_key_frame_leans_on_it() -> None:
    (first, second) = plan(grid(1.0), [0, 3, 6, 8], [14, 10, 12])
    assert all(decode for decode, _ in first)
    assert [sampled for _, sampled in second] == [False, True, False]


def test_packets_without_a_time_are_all_decoded() -> None:
    parts = SkipPlan(grid(1.0).index).plan([Stamp(0, True), Stamp(None, False), Stamp(4, False)], [Stamp(6, True)])
    assert all(part.decode and part.sampled for part in parts)


@given(
    steps=st.lists(st.integers(1, 25), min_size=1, max_size=80),
    length=st.integers(1, 20),
    rate=st.sampled_from([0.1, 0.3, 1.0, 3.0]),
)
def test_no_sample_is_ever_dropped(steps: list[int], length: int, rate: float) -> None:
    times = [sum(steps[:i]) for i in range(len(steps))]
    groups = [times[i : i + length] for i in range(0, len(times), length)]
    plans = plan(grid(rate), *groups)
    last = -1
    for group, parts in zip(groups, plans, strict=True):
        for time, (decode, sampled) in zip(group, parts, strict=True):
            index = grid(rate).index(time)
            assert sampled == (index > last)
            assert decode or not sampled
            last = index


def test_rates_are_what_people_write() -> None:
    assert grid(0.3).index(100) == 3  # 10 s; the nearest binary fraction to 0.3 would give 2
    assert index_at(10.0, 0.3) == 3
    assert index_at(0.999999, 1.0) == 0


def test_times_count_from_the_origin() -> None:
    late = SampleGrid.of(1.0, Fraction(1, 1000), origin=7300)
    assert late.index(7300) == 0 and late.index(8299) == 0 and late.index(8300) == 1
    assert late.seconds(7800) == 0.5
    assert late.ticks_at(0.5) == 7800
    assert late.ticks_before(2) == 9300
