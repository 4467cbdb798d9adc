"""Figures over the pixels of an image: pick a pixel, see whom it is linked with."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from dashboard import palette
from dashboard.names import plotly_text

_FEW_PIXELS = 16  # a side up to which lines between the cells help rather than glitter


def pixel_picker(values: np.ndarray, selected: tuple[int, int] | None = None, dark: bool = False,
                 title: str | None = None, backdrop: np.ndarray | None = None, label: str = "", unit: str = "",
                 height: int = 400) -> go.Figure:
    """A value for every pixel, to look at and to click on.

    Heatmaps report no clicks to Streamlit, so every pixel also has an unseen square marker; with
    ``st.plotly_chart(..., on_select="rerun")`` the clicked pixel comes back as
    ``event.selection.points[0]["customdata"]``, its index in the flattened image.

    Args:
        values: (H, W).
        selected: (row, column) of the framed pixel.
        dark: the page is dark.
        title: above the figure.
        backdrop: (H, W) in [0, 1], for example the mean image; its outline is drawn over the values.
        label: what the values are, over the colour bar and in the hover.
        unit: behind every value, for example ``" %"``.
        height: in pixels.
    """
    values = np.asarray(values)
    if values.ndim != 2:
        raise ValueError(f"values must have shape (H, W), got {values.shape}.")
    whole = values.dtype.kind in "biu"
    if not whole:
        values = values.astype(np.float32)  # half the payload, and more digits than a colour can show
    return _pixel_map(values, [f"{value}" if whole else f"{value:.3g}" for value in values.ravel().tolist()], selected,
                      dark, title, backdrop, label, unit, height, limits=None)


def neighbourhood_map(probabilities_row: np.ndarray, image_shape: tuple[int, int], selected: tuple[int, int],
                      dark: bool = False, title: str | None = None, backdrop: np.ndarray | None = None,
                      height: int = 400) -> go.Figure:
    """How sure the model is that one pixel is linked with each other one; its pixels can be clicked as well.

    Args:
        probabilities_row: (N,), the pixel's row of the edge probabilities.
        image_shape: (H, W) with H * W = N.
        selected: (row, column) of the pixel itself.
        dark, title, backdrop, height: as in ``pixel_picker``.
    """
    row = np.clip(np.asarray(probabilities_row, dtype=float), 0, 1)
    rows, columns = image_shape
    if row.shape != (rows * columns,):
        raise ValueError(f"probabilities_row must have shape ({rows * columns},) for an image of {rows} x {columns}, "
                         f"got {row.shape}.")
    percent = np.round(100 * row).astype(np.uint8).reshape(image_shape)
    percent[selected] = 0  # no edge leads from a pixel to itself
    return _pixel_map(percent, [str(value) for value in percent.ravel().tolist()], selected, dark, title, backdrop,
                      "how sure", " %", height, limits=(0, 100))


def _pixel_map(values: np.ndarray, texts: list[str], selected: tuple[int, int] | None, dark: bool, title: str | None,
               backdrop: np.ndarray | None, label: str, unit: str, height: int,
               limits: tuple[float, float] | None) -> go.Figure:
    rows, columns = values.shape
    gap = 1 if max(rows, columns) <= _FEW_PIXELS else 0
    figure = go.Figure(go.Heatmap(
        z=values, colorscale=palette.scale(palette.CIVIDIS), hoverinfo="skip", xgap=gap, ygap=gap,
        colorbar=palette.colorbar(ticksuffix=unit, nticks=5),
        **({} if limits is None else {"zmin": limits[0], "zmax": limits[1]})))
    if backdrop is not None:
        _add_outline(figure, np.asarray(backdrop, dtype=np.float32))
    row, column = (axis.ravel() for axis in np.mgrid[:rows, :columns])
    named = f"{plotly_text(label)} " if label else ""
    figure.add_trace(go.Scatter(
        x=column.astype(np.uint16), y=row.astype(np.uint16), customdata=np.arange(values.size), mode="markers",
        showlegend=False, text=texts, hovertemplate=f"row %{{y}}, column %{{x}}<br>{named}<b>%{{text}}{unit}</b>"
                                                    "<extra></extra>",
        # As large as a cell, or a click on a cell's corner would land between two markers.
        marker={"symbol": "square", "size": int(np.ceil(1.15 * height / max(rows, columns))), "opacity": 0.0},
        selected={"marker": {"opacity": 0.0}}, unselected={"marker": {"opacity": 0.0}}))
    axis = {"visible": False, "showgrid": False, "zeroline": False, "constrain": "domain"}
    figure.update_layout(
        palette.layout_defaults(dark), height=height, hovermode="closest", clickmode="event+select", dragmode=False,
        xaxis=axis | {"range": [-0.5, columns - 0.5], "constraintoward": "left"},
        yaxis=axis | {"range": [rows - 0.5, -0.5], "scaleanchor": "x", "constraintoward": "top"})
    if label:
        figure.add_annotation(palette.colorbar_title(label))
    if title:
        figure.update_layout(title={"text": plotly_text(title)}, margin={"t": 76})
    if selected is not None:
        row, column = selected
        for color, width in (("#FFFFFF", 4.5), (palette.MARK, 2.5)):  # the white rim keeps it visible on yellow cells
            figure.add_shape(type="rect", x0=column - 0.5, x1=column + 0.5, y0=row - 0.5, y1=row + 0.5,
                             line={"color": color, "width": width})
    return figure


def _add_outline(figure: go.Figure, backdrop: np.ndarray) -> None:
    """The contour of an image at half of its brightest pixel: where the digit is, without hiding a value."""
    level = float(backdrop.max(initial=0.0)) / 2
    if level <= 0:
        return
    figure.add_trace(go.Contour(
        z=backdrop, contours={"start": level, "end": level, "size": max(level, 1e-6), "coloring": "none"},
        line={"color": "rgba(255,255,255,0.75)", "width": 1.2}, hoverinfo="skip", showscale=False, showlegend=False))
