"""Settings: one frozen value from the environment; what is wrong is named with its mend."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest
import trio
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from trioflow.core.leases import check_grace
from trioflow.errors import InvalidSetting
from trioflow.settings import MOST_GRACE_SECONDS, Settings, current_settings, use_settings


def test_without_variables_the_defaults_hold():
    settings = Settings.from_environment({"PATH": "/bin"})

    assert (
        settings
        == Settings()
        == Settings(
            home=platformdirs.user_data_path("trioflow", appauthor=False),
            log_level=logging.INFO,
            log_prints=False,
            debug=False,
            ui_url=None,
            grace_seconds=10.0,
            hook_seconds=60.0,
        )
    )


def test_every_setting_is_the_variable_of_its_name():
    assert Settings.from_environment(
        {
            "TRIOFLOW_HOME": "/var/lib/trioflow",
            "TRIOFLOW_LOG_LEVEL": "debug",
            "TRIOFLOW_LOG_PRINTS": "yes",
            "TRIOFLOW_DEBUG": "1",
            "TRIOFLOW_UI_URL": "http://127.0.0.1:4200/",
            "TRIOFLOW_GRACE_SECONDS": "2.5",
            "TRIOFLOW_HOOK_SECONDS": "30",
        }
    ) == Settings(
        home=Path("/var/lib/trioflow"),
        log_level=logging.DEBUG,
        log_prints=True,
        debug=True,
        ui_url="http://127.0.0.1:4200",
        grace_seconds=2.5,
        hook_seconds=30.0,
    )


def test_what_is_kept_is_kept_in_the_home():
    settings = Settings(home=Path("/somewhere"))

    assert settings.database_path == Path("/somewhere/trioflow.db")
    assert evolve(settings, home=Path("/else")).database_path == Path("/else/trioflow.db")


def test_a_home_may_be_relative_or_the_users(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")

    assert Settings.from_environment({"TRIOFLOW_HOME": "~/flows"}).home == Path("/home/somebody/flows")
    assert Settings.from_environment({"TRIOFLOW_HOME": "flows"}).home == Path.cwd() / "flows"


def test_an_empty_variable_says_nothing():
    assert Settings.from_environment({"TRIOFLOW_HOME": "", "TRIOFLOW_DEBUG": ""}) == Settings()


@pytest.mark.parametrize(
    ("variable", "text", "may_be"),
    [
        ("TRIOFLOW_LOG_LEVEL", "loud", "DEBUG, INFO, WARNING, ERROR or a number"),
        ("TRIOFLOW_LOG_PRINTS", "perhaps", "true or false"),
        ("TRIOFLOW_UI_URL", "localhost:4200", "an http:// or https:// address"),
        ("TRIOFLOW_GRACE_SECONDS", "soon", "seconds from 0 to 18"),
        ("TRIOFLOW_GRACE_SECONDS", "25", "seconds from 0 to 18"),
        ("TRIOFLOW_GRACE_SECONDS", "nan", "seconds from 0 to 18"),
        ("TRIOFLOW_HOOK_SECONDS", "0", "seconds above 0"),
        ("TRIOFLOW_HOOK_SECONDS", "inf", "seconds above 0"),
    ],
)
def test_a_wrong_value_is_named_with_its_variable_and_mend(variable, text, may_be):
    with pytest.raises(InvalidSetting) as caught:
        Settings.from_environment({variable: text})

    assert str(caught.value).startswith(f"{variable} cannot be ")
    assert text in str(caught.value)
    assert f"give {may_be}" in str(caught.value)


def test_a_value_given_in_code_is_held_to_the_same():
    with pytest.raises(
        InvalidSetting, match="TRIOFLOW_GRACE_SECONDS cannot be '25': give seconds from 0 to 18"
    ):
        Settings(grace_seconds=25)
    with pytest.raises(InvalidSetting, match="TRIOFLOW_HOME cannot be 'flows': give"):
        Settings(home=Path("flows"))


@given(st.floats(-1, 30))
def test_the_grace_that_settings_allow_is_the_one_that_leases_allow(seconds):
    def allowed(check):
        try:
            check()
        except InvalidSetting:
            return False
        return True

    assert allowed(lambda: Settings(grace_seconds=seconds)) == allowed(lambda: check_grace(seconds))


_seconds = st.floats(0.001, 1e9)


@pytest.mark.behaviour("NM-04")
@given(
    st.builds(
        Settings,
        home=st.sampled_from(["/var/lib/trioflow", "/srv/a home", "/ü"]).map(Path),
        log_level=st.integers(0, 100),
        log_prints=st.booleans(),
        debug=st.booleans(),
        ui_url=st.none() | st.just("http://127.0.0.1:4200"),
        grace_seconds=st.floats(0, MOST_GRACE_SECONDS),
        hook_seconds=_seconds,
        runner_process_limit=st.integers(1, 10_000),
        runner_query_seconds=_seconds,
        drain_seconds=st.floats(0, 1e9),
        start_seconds=_seconds,
    )
)
def test_a_process_that_is_given_settings_as_variables_has_them(settings):
    variables = settings.as_environment()

    assert Settings.from_environment(variables) == settings
    assert ("TRIOFLOW_UI_URL" in variables) == (settings.ui_url is not None)


@pytest.mark.behaviour("NM-04")
def test_settings_that_are_given_outdo_those_that_are_set_there():
    given = Settings(log_level=logging.DEBUG)

    variables = {"TRIOFLOW_LOG_LEVEL": "ERROR", "TRIOFLOW_DEBUG": "1", **given.as_environment()}

    assert Settings.from_environment(variables) == given


@pytest.mark.behaviour("NM-04")
def test_what_a_runner_says_to_its_processes_is_no_setting():
    assert Settings.from_environment({"TRIOFLOW__FLOW_RUN_ID": "0" * 32}) == Settings()


def test_an_unknown_variable_is_warned_of_with_the_nearest_name():
    with pytest.warns(UserWarning, match="TRIOFLOW_LOGLEVEL is set, .* the nearest is TRIOFLOW_LOG_LEVEL"):
        assert Settings.from_environment({"TRIOFLOW_LOGLEVEL": "DEBUG"}) == Settings()


def test_an_unknown_variable_that_is_near_to_none_is_warned_of_without_a_guess():
    with pytest.warns(UserWarning, match="TRIOFLOW_XYZ is set, but there is no such setting$"):
        assert Settings.from_environment({"TRIOFLOW_XYZ": "DEBUG"}) == Settings()


async def test_settings_in_use_hold_for_tasks_and_threads_until_the_block_ends(tmp_path):
    seen = []
    before = current_settings()
    mine = Settings(home=tmp_path)

    async def look():
        seen.append(current_settings())
        seen.append(await trio.to_thread.run_sync(current_settings))

    with use_settings(mine) as used:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(look)

    assert seen == [mine, mine]
    assert used is mine
    assert current_settings() is before


def test_the_environment_is_read_once(tmp_path):
    code = (
        "import os; from trioflow.settings import current_settings; first = current_settings();"
        "os.environ['TRIOFLOW_HOME'] = '/else'; assert current_settings() is first; print(first.home)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "TRIOFLOW_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert ran.stdout.strip() == str(tmp_path)
