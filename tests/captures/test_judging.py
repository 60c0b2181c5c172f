"""What is said of a reconstruction."""

import json

import pytest

from nerf_plugins.captures.job import Matched
from nerf_plugins.captures.judging import as_json, check_enough, judge
from nerf_plugins.errors import InputError
from tests.captures.reconstructions import made

SEEN = {"a.jpg": 900, "b.jpg": 1000, "c.jpg": 1100, "d.jpg": 320}
LEFT_OUT = {
    "blurred.jpg": Matched(1000, 4),
    "bare.jpg": Matched(50, 0),
    "alone.jpg": Matched(1000, 0),
    "edge.jpg": Matched(1000, 2),
    "part.jpg": Matched(1000, 9, (1,)),
    "wrong.jpg": Matched(1000, 9),
}


def sharpness(reconstruction) -> dict[str, float]:
    return {name: 0.1 if name == "blurred.jpg" else 1.0 for name in reconstruction.matched}


def test_each_photo_left_out_has_its_likely_reason():
    reconstruction = made(SEEN, LEFT_OUT)
    found = {item.name: item.reason.split(",")[0] for item in judge(reconstruction, sharpness(reconstruction)).left_out}
    assert found == {
        "blurred.jpg": "blurred",
        "bare.jpg": "little texture",
        "alone.jpg": "no overlap with other photos",
        "edge.jpg": "little overlap with other photos",
        "part.jpg": "belongs to another part that no photo connects with the largest",
        "wrong.jpg": "overlaps with others",
    }


def test_photos_with_less_than_a_third_of_the_usual_points_are_doubted():
    reconstruction = made({**SEEN, "e.jpg": 300})  # the median is 900
    judgement = judge(reconstruction, sharpness(reconstruction))
    assert judgement.doubtful == {}
    reconstruction = made({**SEEN, "e.jpg": 299})
    judgement = judge(reconstruction, sharpness(reconstruction))
    assert judgement.doubtful == {"e.jpg": "299 points"}
    assert "e.jpg (299)" in judgement.warnings[-1]


def test_photos_that_contradict_their_matches_are_doubted():
    reconstruction = made(SEEN | {"e.jpg": 290}, agreeing={"a.jpg": 0.5, "b.jpg": 0.49, "e.jpg": 0.012})
    judgement = judge(reconstruction, sharpness(reconstruction))
    assert judgement.doubtful == {"b.jpg": "49% of its matches agree", "e.jpg": "290 points, 1% of its matches agree"}
    assert any(
        line.startswith("2 photos that most matches") and "e.jpg (1%), b.jpg (49%)" in line
        for line in judgement.warnings
    )
    assert any(line.startswith("only 60% of the matches agree") for line in judgement.warnings)
    assert (
        as_json(reconstruction, judgement, sharpness(reconstruction), [])["images"]["b.jpg"]["matches_that_agree"]
        == 0.49
    )


@pytest.mark.parametrize(("share", "is_said"), [(0.95, False), (0.94, True)])
def test_matches_that_contradict_the_whole_are_said(share, is_said):
    reconstruction = made(SEEN, agreeing=dict.fromkeys(SEEN, share))
    judgement = judge(reconstruction, sharpness(reconstruction))
    assert any("of the matches agree with the poses" in line for line in judgement.warnings) == is_said
    assert judgement.doubtful == {}


@pytest.mark.parametrize(("count", "is_rough"), [(199, True), (200, False)])
def test_few_points_in_all_photos_are_said(count, is_rough):
    reconstruction = made(dict.fromkeys(SEEN, count))
    lines = judge(reconstruction, sharpness(reconstruction)).warnings
    assert lines == (
        [
            f"half of the photos see {count} points or fewer: poses may be a few percent off; larger photos, or more texture, help"
        ]
        if is_rough
        else []
    )


def test_several_parts_are_said():
    reconstruction = made(SEEN, components=[4, 3, 2])
    (line,) = judge(reconstruction, sharpness(reconstruction)).warnings[:1]
    assert line == "the photos fall into 3 parts: the largest (4 photos) is used, not the others (3, 2)"


def test_too_few_placed_says_what_to_do():
    reconstruction = made(SEEN, {f"{i}.jpg": Matched(1000, 0) for i in range(10)})
    judgement = judge(reconstruction, sharpness(reconstruction))
    check_enough(reconstruction, judgement, 0.28)
    with pytest.raises(
        InputError, match=r"only 4 of 14 photos .*no overlap.*take more photos.*--min-registered 0.29 keeps these"
    ) as e:
        check_enough(reconstruction, judgement, 0.3)
    assert "\n" not in str(e.value)


def test_two_photos_are_never_enough():
    reconstruction = made({"a.jpg": 10, "b.jpg": 10})
    with pytest.raises(InputError, match="only 2 of 2 photos") as e:
        check_enough(reconstruction, judge(reconstruction, sharpness(reconstruction)), 0.0)
    assert "--min-registered" not in str(e.value)


def test_the_report_is_json_and_counts_all():
    reconstruction = made(SEEN, LEFT_OUT)
    sharp = sharpness(reconstruction)
    report = json.loads(json.dumps(as_json(reconstruction, judge(reconstruction, sharp), sharp, ["a note"])))
    assert (report["photos"], report["registered"], report["points"]) == (10, 4, 50)
    assert set(report["left_out"]) == set(LEFT_OUT)
    assert report["images"]["d.jpg"]["points"] == 320
