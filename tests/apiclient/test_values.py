import pytest

from sild.apiclient.errors import ApiError, Failure, UnexpectedAnswer, Warned
from sild.apiclient.values import Answer, ApiKey, Login, Pin, path_of


def test_a_fingerprint_is_read_as_tools_print_it():
    assert Pin.from_hex(":".join(["AB"] * 32)) == Pin.from_hex("ab" * 32) == Pin(b"\xab" * 32)


@pytest.mark.parametrize("text", ["", "ab", "ab" * 33, "xy" * 32])
def test_what_is_no_fingerprint_is_refused(text):
    with pytest.raises(ValueError, match="hexadecimal"):
        Pin.from_hex(text)


def test_a_part_of_a_path_stays_one_part():
    assert (
        path_of("members", "DEV:GOV:M 1/../x?y#z", 5) == "/members/DEV:GOV:M%201%2F..%2Fx%3Fy%23z/5"
    )


@pytest.mark.parametrize("part", ["", ".", ".."])
def test_a_part_that_leads_elsewhere_is_refused(part):
    with pytest.raises(ValueError, match="path"):
        path_of("members", part)


def test_secrets_are_not_shown():
    assert "hidden" not in repr((ApiKey("hidden"), Login("user", "hidden")))


def test_an_answer_that_is_no_json_says_so():
    with pytest.raises(UnexpectedAnswer):
        _ = Answer(200, {}, b"<html>").json


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        (Failure(404), "there is no such thing"),
        (Failure(418), "the server answered with status 418"),
        (
            Failure(409, "member_exists", ("GOV", "M1")),
            "something stands against it; member exists (GOV, M1)",
        ),
        (
            Failure(400, "validation_failure", validation_errors={"url": ("NotNull", "Size")}),
            "the request is not acceptable; validation failure; url NotNull, Size",
        ),
        (
            Failure(400, "warnings_detected", warnings=(Warned("gone", ("x",)), Warned("old"))),
            "the request is not acceptable; warnings detected; warning gone (x); warning old",
        ),
        (
            Failure(500, "internal_error", correlation_id="abc"),
            "the server failed; internal error; its logs call this abc",
        ),
    ],
)
def test_an_error_is_a_sentence(failure, sentence):
    assert str(ApiError("GET /x", failure)) == f"GET /x: {sentence}"
