"""What the study of fusion says of itself."""

DESIGN = """
Two branches look at drawn scenes, each aligned with its task: a small pixel expert that learned
the trace of one decoder (`kl-1`), and a small reader that learned whether scenes keep three rules
(support, containment, counts). It stands for the vision-language model. A picture is fake if a
decoder made its pixels, if it breaks a rule, or both.

Scores become probabilities by a logistic fit, and thresholds are set, on a calibration set of
scenes that nobody was trained on: intact ones, and fakes of the kinds the branches know. Every
rule gets the **same budget of false alarms**, 5 % of the intact calibration scenes together; `or`
and `vote` (with two branches: both must say fake) give each branch the rate that keeps them within
it. `or, 5 % each` is what happens when every branch keeps its own threshold at 5 %, as the paper's
logical OR does. `learned` has the weights of `aligngemini fuse fit`, and its threshold, like the
others', from the budget (the command itself never goes below a half).

Tested on other scenes: intact ones, also saved as JPEG 60 or resized to 0.7 and back, which
neither the branches nor the thresholds know; fakes by trace, by meaning, by both; and fakes that
the branches have never seen: another decoder (`dc-1`), other rules (shadow, reflection). Precision
is computed for test sets with one fake among two, ten and a hundred images, from the recall on
known fakes and the false alarms.

`--scale full` draws ten times as many scenes, and nothing else. All of it is drawn, small, and
about rules: how often real generators leave a trace, break a rule, or both is not known here, so
that the columns must not be averaged by anybody who does not know it.
"""

MEANING = {
    "false alarms": "share of intact scenes that are called fake",
    "false alarms, JPEG 60": "the same, saved at that quality instead of 92",
    "false alarms, resized": "the same, resized to 0.7 and back",
    "trace": "recall on fakes whose pixels the known decoder made and that break no rule",
    "meaning": "recall on fakes that break a known rule, no decoder's trace",
    "both": "recall on fakes with both",
    "unseen decoder": "recall on fakes of a decoder that the pixel branch never saw",
    "unseen rules": "recall on fakes that break rules that the semantic branch never saw",
    "precision 1:1": "share of true fakes among what is called fake, one fake in two images",
    "precision 1:9": "the same, one fake in ten images",
    "precision 1:99": "the same, one fake in a hundred images",
    "nothing to find": "null control: balanced accuracy of intact scenes against intact scenes",
    "labels by lot": "null control: balanced accuracy against labels drawn by lot",
}
