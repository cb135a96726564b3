"""How a run starts and ends: it claims its folder, and remembers what it has made."""

import time

from snakemake.cli import parse_args

from kappascope import files
from kappascope.workflow import integrity, running

ONLY_READING = (
    *("dryrun", "touch", "unlock", "lint", "list_rules", "list_target_rules"),
    *("dag", "rulegraph", "filegraph", "d3dag", "summary", "detailed_summary"),
    *("list_changes", "list_input_changes", "list_params_changes", "list_untracked"),
    *("print_compilation", "containerize", "generate_unit_tests", "archive"),
    *("delete_all_output", "delete_temp_output", "cleanup_metadata", "report"),
)


def prepare_run():
    """Claim the folder and see to what earlier runs left, unless nothing is to be run."""
    if not workflow.is_main_process or "snakemake" not in sys.argv[0]:
        return
    for warning in configuration.warnings(CONFIG):
        running.tell(f"warning: {warning}")
    given = parse_args(sys.argv[1:])[1]
    if any(getattr(given, name, None) for name in ONLY_READING):
        return
    try:
        running.start([RESULTS, MAPS_FOLDER], sys.argv[1:], given.targets)
    except InputError as error:
        refuse(error)


prepare_run()

STARTED = time.time()


def tell_ledger():
    """Say how many published results this run reproduced, if it wrote the ledger."""
    file = Path(result("claims.csv"))
    if file.is_file() and file.stat().st_mtime >= STARTED:
        from kappascope.reporting import claims

        running.tell(claims.sentence(files.read_rows(file)))


onstart:
    running.clear_jobs()


onsuccess:
    integrity.remember([RESULTS, MAPS_FOLDER])
    tell_ledger()


onerror:
    running.tell_killed()
    integrity.remember([RESULTS, MAPS_FOLDER])
