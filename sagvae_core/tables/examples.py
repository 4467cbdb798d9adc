"""Two real tables that need no download: scikit-learn brings their files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..config_data import one_of

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Example:
    """What a person is told of an example's table."""

    title: str
    words: str


EXAMPLES = {
    "wine": Example("Wine", "178 Italian wines of three growers: 13 chemical measurements (scikit-learn's load_wine)."),
    "diabetes": Example("Diabetes", "442 patients: ten measurements, and how far the disease had gone a year later "
                        "(scikit-learn's load_diabetes, as it was measured).")}

# The file calls the blood serum's values s1 to s6; what they are stands in its description.
_DIABETES = {"bmi": "body mass index", "bp": "blood pressure", "s1": "total cholesterol", "s2": "LDL", "s3": "HDL",
             "s4": "cholesterol / HDL", "s5": "log triglycerides", "s6": "blood sugar", "target": "progression"}


def example_frame(name: str) -> pd.DataFrame:
    """The table of an example, with names that say what its columns are.

    The grower of a wine is left out: three names have no order, so they are no column that can be fitted.

    Raises:
        SagvaeError: ``name`` is no key of :data:`EXAMPLES`.
    """
    from sklearn import datasets

    one_of("example", name, tuple(EXAMPLES))
    if name == "wine":
        frame = datasets.load_wine(as_frame=True).data
        return frame.rename(columns={"od280/od315_of_diluted_wines": "OD280/OD315"} | {
            column: column.replace("_", " ") for column in frame.columns if "/" not in column})
    return datasets.load_diabetes(as_frame=True, scaled=False).frame.rename(columns=_DIABETES)
