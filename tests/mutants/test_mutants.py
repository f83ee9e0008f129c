"""What is made of cargo-mutants' output: names that stay, a sample that stays, and what fails."""

import json

import pytest
from mutants import Broken, changed, listed, named, problems, results, sample

SOURCE = "fn a() -> bool {\n    x == y && x == z\n}\n"


def mutant(line, column, what, file="src/a.rs"):
    return {
        "file": file,
        "name": f"{file}:{line}:{column}: {what}",
        "span": {"start": {"line": line, "column": column}},
    }


MUTANTS = [
    mutant(1, 5, "replace a -> bool with true"),
    mutant(2, 7, "replace == with != in a"),
    mutant(2, 17, "replace == with != in a"),
]
BODY = "src/a.rs: replace a -> bool with true @ fn a() -> bool {"
TWICE = "src/a.rs: replace == with != in a @ x == y && x == z"


def by_name(mutants=MUTANTS, source=SOURCE):
    return named(mutants, lambda _: source)


def outcomes(*summaries, baseline="Success"):
    tried = [{"scenario": {"Mutant": one}, "summary": said} for one, said in zip(MUTANTS, summaries)]
    return {"outcomes": [{"scenario": "Baseline", "summary": baseline}, *tried]}


def test_a_name_stays_while_lines_move():
    moved = [mutant(3, 5, "replace a -> bool with true")]
    assert set(by_name()) == {BODY, TWICE}
    assert set(by_name(moved, f"// one\n// two\n{SOURCE}")) == {BODY}
    assert len(by_name()[TWICE]) == 2


def test_a_sample_is_the_same_for_a_seed_and_changes_little_with_the_code():
    names = [f"mutant {number}" for number in range(1000)]
    one = sample(names, 60, "1")
    assert one == sample(reversed(names), 60, "1")
    assert one != sample(names, 60, "2")
    assert len(set(one) & set(sample(names[10:], 60, "1"))) > 50
    assert sample(names[:3], 60, "1") == names[:3]


def test_the_lines_of_a_sample_are_all_that_its_diff_touches():
    assert changed([("src/b.rs", 2), ("src/a.rs", 3), ("src/a.rs", 1), ("src/a.rs", 3)], lambda _: SOURCE) == (
        "--- a/src/a.rs\n+++ b/src/a.rs\n"
        "@@ -0,0 +1,1 @@\n+fn a() -> bool {\n"
        "@@ -1,0 +3,1 @@\n+}\n"
        "--- a/src/b.rs\n+++ b/src/b.rs\n"
        "@@ -1,0 +2,1 @@\n+    x == y && x == z\n"
    )


@pytest.mark.parametrize(
    "summaries, body, twice",
    [
        (("CaughtMutant", "CaughtMutant", "CaughtMutant"), "caught", "caught"),
        (("Timeout", "CaughtMutant", "MissedMutant"), "caught", "missed"),
        (("MissedMutant", "Unviable", "Unviable"), "missed", "unviable"),
        (("Unviable", "Unviable", "Timeout"), "unviable", "caught"),
    ],
)
def test_what_became_of_a_name(summaries, body, twice):
    assert results(outcomes(*summaries), by_name()) == {BODY: body, TWICE: twice}
    # What is tried beside the sample is not judged.
    assert results(outcomes(*summaries), {BODY: by_name()[BODY]}) == {BODY: body}


def test_what_is_no_result_is_an_error():
    with pytest.raises(Broken, match="without any mutant"):
        results(outcomes(baseline="Failure"), by_name())
    with pytest.raises(Broken, match="Failure"):
        results(outcomes("Failure"), by_name())


def test_an_entry_has_a_name_and_a_reason():
    entry = f"[[survivor]]\nname = {json.dumps(BODY)}\nreason = 'none'\n"
    assert listed(entry) == {BODY: "none"}
    assert listed("# nothing\n") == {}
    for wrong in (entry + entry, entry.replace("'none'", "' '"), entry.replace("reason", "why")):
        with pytest.raises(Broken):
            listed(wrong)


def test_an_unlisted_survivor_fails_and_so_does_a_listed_one_that_is_none():
    judged = {BODY: "missed", TWICE: "caught"}
    every = [BODY, TWICE]
    assert problems(judged, {BODY: "why"}, every) == []
    assert problems(judged, {}, every) == [f"survives: {BODY}"]
    known = {BODY: "why", TWICE: "why", "gone": "why"}
    assert problems(judged, known, every) == [f"is caught, and listed: {TWICE}", "is listed, and no mutant: gone"]
    # What the sample does not try, it does not judge.
    assert problems({}, {BODY: "why"}, every) == []
