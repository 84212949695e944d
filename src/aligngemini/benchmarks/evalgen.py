"""EvalGEN: five newer generators on the prompts of GenEval."""

from aligngemini.benchmarks.base import Benchmark, Expected
from aligngemini.benchmarks.layout import Layout, axis

GENERATORS = axis("Flux", "GoT", "Infinity", "NOVA", "OmniGen")

LAYOUT = Layout("evalgen", (GENERATORS,), bare=True, pattern=r".*_0\.[a-z]+")

BENCHMARK = Benchmark(
    name="evalgen",
    title="EvalGEN",
    paper="Chen et al. (DDA), NeurIPS 2025, arXiv 2505.14359",
    licence="Apache-2.0, as copies of it say",
    how_to_get="huggingface.co/datasets/Junwei-Xi/EvalGEN",
    layout="{Flux,GoT,Infinity,NOVA,OmniGen}/*_0.jpg",
    protocol="detection rate, mean of the five; the first image of each of 553 prompts",
    expected={name: Expected(0, 553) for name in GENERATORS},
    find=LAYOUT.find,
    fake_only=True,
    folders=("EvalGEN", "Eval_GEN", "GenEval", "GenEval-JPEG"),
)
