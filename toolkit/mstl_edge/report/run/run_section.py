"""A training run as figures and tables."""

from __future__ import annotations

from mstl_edge.metrics import ClassificationMetrics
from mstl_edge.report.answers import answer_figures as figures
from mstl_edge.report.answers.answers import Answered, Paired
from mstl_edge.report.answers.class_tables import CLASS_INTERVALS, class_table, least_alike, recalls
from mstl_edge.report.answers.mistakes import mistakes
from mstl_edge.report.answers.thumbnails import Thumbnails
from mstl_edge.report.html import wording
from mstl_edge.report.html.blocks import Figure, Part, Section, Table
from mstl_edge.report.html.markup import Child, Markup, join, tag
from mstl_edge.report.run.card_section import card_blocks
from mstl_edge.report.run.doubt_section import doubt_section
from mstl_edge.report.run.quantization import gate_sentence, quantization_section
from mstl_edge.report.run.run_record import RunRecord
from mstl_edge.report.run.training_figures import training_curves
from mstl_edge.schemas.metrics import StageMetrics

ASKED = "the test images"


def run_part(run: RunRecord, paired: Paired | str, looks: Section | None, thumbnails: Thumbnails | None) -> Part:
    """Return what a run gives to the page.

    Args:
        run: The run.
        paired: Answers of the float32 and the int8 file, or why there are none.
        looks: Images with the evidence for what was answered; None where there is no exported file.
        thumbnails: Pictures of test images by name; None shows none, and no file names either.
    """
    models: list[tuple[str, Answered]] = [(entry.name, run.answered[entry.name]) for entry in run.stages]
    if isinstance(paired, Paired):
        models = [*models[:-1], (f"{run.last.name}, float32", paired.float32), (f"{run.last.name}, int8", paired.int8)]
    final = models[-1]
    sections = [
        Section("Stages", (_stages_table(run), *_class_tables(run), *training_curves(run))),
        Section("Answers to the test images", _answer_figures(models, paired)),
    ]
    if run.export is not None:
        sections.append(quantization_section(run.export, run.last.validation.n, run.last.labels))
    counting = f"Rows count the test images in predictions.csv of stage {run.last.name}."
    sections.append(Section("Worst mistakes", (mistakes(*final, thumbnails, counting=counting),)))
    sections += [section for section in (looks, doubt_section(run, final[1])) if section is not None]
    sections.append(Section("Model card", card_blocks(run)))
    return Part(_headline(run), tuple(sections), _missing(run, paired))


def _answer_figures(models: figures.Named, paired: Paired | str) -> tuple[Figure, ...]:
    confused = [(name, answers.labels, answers.confusion) for name, answers in models]
    shown = [
        *figures.roc(models, asked=ASKED, ring="the decision threshold that validation chose"),
        figures.confusions(confused, asked=ASKED, count=figures.counted(models)),
        *figures.reliability_diagrams(models, asked=ASKED),
    ]
    if isinstance(paired, Paired):
        shown += figures.float_against_int8([("float32 against int8", paired)], asked=ASKED)
    return tuple(shown)


def _missing(run: RunRecord, paired: Paired | str) -> tuple[str, ...]:
    missing = []
    if run.export is None:
        missing.append("candidates and gate: mstl-edge export RUN --int8")
    if isinstance(paired, str):
        missing.append(paired)
    return tuple(missing)


def _headline(run: RunRecord) -> tuple[str, ...]:
    export, entry = run.export, run.last
    test = export.test.int8 if export and export.test else entry.test
    model = "int8 model" if export and export.test else "float model"
    right = sum(test.confusion[i][i] for i in range(len(test.confusion)))
    sentences = [
        f"The {model} labels {right} of {test.n} test images right: {wording.interval_in_words(test.accuracy)}. "
        f"One image is {100 / test.n:.1f} points."
    ]
    if entry.positive and test.sensitivity and test.specificity and test.auc:
        sentences.append(
            f"Sensitivity for {entry.positive} {wording.interval_in_words(test.sensitivity)}, specificity "
            f"{wording.interval_in_words(test.specificity)}, area under the ROC curve {wording.share_interval(test.auc)}."
        )
    if len(test.classes) > 2 and test.macro_f1:
        sentences.append(f"Macro-F1 {wording.share_interval(test.macro_f1)}. {recalls(test.classes)}".rstrip())
    if export and (said := gate_sentence(export)):
        sentences.append(said)
    if export and export.test and (said := least_alike([("int8", export.test.agreement.by_class)], entry.labels)):
        sentences.append(said)
    return tuple(sentences)


def _stages_table(run: RunRecord) -> Table:
    rows = []
    for entry in run.stages:
        images = entry.images
        rows.append(
            (
                entry.name,
                _classes(entry),
                join(
                    f"{images['train']:,} / {images['validation']:,} / {images['test']:,}",
                    tag("br"),
                    tag("small", f"patients {'known' if entry.patients_known else 'unknown'}"),
                ),
                f"{entry.selected_epoch} of {entry.epochs}",
                f"{entry.parameters.trained / 1e6:.2f} of {entry.parameters.total / 1e6:.2f}",
                wording.percent_cell(entry.test.accuracy),
                *_beside_accuracy(entry.test, run),
            )
        )
    of_two, many = _has(run)
    head = (
        "Stage", "Classes", "Images: train / val. / test", "Epoch kept", "Trained, millions", "Accuracy, %",
        *(("Sensitivity, %", "Specificity, %", "AUC") if of_two else ()), *(("Macro-F1",) if many else ()),
    )  # fmt: skip
    counts = ", ".join(f"{entry.name}: n = {entry.test.n}" for entry in run.stages)
    caption = (
        f"The float model after each stage, on that stage's own test split ({counts}), with 95 % intervals (Wilson; for the AUC "
        f"Newcombe{'; for the macro-F1 the delta method' if many else ''}). "
        f"Temperature{', threshold' if of_two else ''} and epoch were chosen on validation images; the test split was scored once. "
        "Where patients are unknown, near-duplicate images were kept on one side of the split."
    )
    return Table(head, tuple(rows), caption, words=frozenset((0, 1)))


def _has(run: RunRecord) -> tuple[bool, bool]:
    """Return whether there are stages of two classes, and of more."""
    counts = [len(entry.labels) for entry in run.stages]
    return 2 in counts, max(counts) > 2


def _beside_accuracy(scores: ClassificationMetrics, run: RunRecord) -> list[Child]:
    of_two, many = _has(run)
    cells: list[Child] = []
    if of_two:
        cells += [wording.percent_cell(scores.sensitivity), wording.percent_cell(scores.specificity)]
        cells.append(wording.share_cell(scores.auc))
    if many:
        cells.append(wording.share_cell(scores.macro_f1))
    return cells


def _class_tables(run: RunRecord) -> list[Table]:
    """Return each class of more than two by itself, of the float model."""
    many = [(entry.name, entry.test.classes, ()) for entry in run.stages if len(entry.labels) > 2]
    counts = ", ".join(f"{entry.name}: n = {entry.test.n}" for entry in run.stages if len(entry.labels) > 2)
    found = class_table("Stage", many, f"Each class by itself on the test split ({counts}), {CLASS_INTERVALS}")
    return [] if found is None else [found]


def _classes(entry: StageMetrics) -> Markup:
    """Return the classes one below the other, the positive one marked."""
    lines = [(label, " (positive)" if label == entry.positive else "") for label in entry.labels]
    return join([join(tag("br") if n else None, label, tag("small", mark)) for n, (label, mark) in enumerate(lines)])
