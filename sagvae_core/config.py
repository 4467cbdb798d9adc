"""Every setting of model and training: frozen, validated, with the reason beside each default.

Symbols as in the paper: B batch, N nodes (features of the data), C channels per node, D latent channels per node.
"""

from __future__ import annotations

from dataclasses import dataclass

from .config_completion import CompletionConfig
from .config_data import DataConfig, PerturbationConfig, in_range, one_of
from .errors import expected

__all__ = ["CompletionConfig", "DataConfig", "ModelConfig", "PerturbationConfig", "ReferenceConfig", "StageConfig",
           "TrainConfig"]

LATENTS = ("per_node", "per_sample")
GRAPHS = ("learned", "identity")
NORMALISATIONS = ("row", "symmetric", "none")
EDGE_LOGITS = ("free", "amortised", "both", "moments")
EDGE_WEIGHTS = ("none", "positive", "signed")
EDGE_REGULARISERS = ("kl", "density")
ENCODERS = ("node", "all", "linear")
LIKELIHOODS = ("bernoulli", "gaussian", "robust")
SCALES = ("shared", "node")
ACTIVATIONS = ("relu", "tanh", "elu", "softplus")
OUTPUTS = ("sigmoid", "identity")
PRECISIONS = ("no", "bf16", "fp16")
MOST_LAYERS, MOST_STAGES = 64, 1000  # more is no model but a mistake, or an attack on the memory
REFERENCES = ("mlp_vae", "dae", "conv_dae")
OBJECTIVES = ("elbo", "completion")
TRACKERS = ("tensorboard", "wandb", "mlflow", "aim", "clearml", "comet_ml", "dvclive", "swanlab", "trackio")


@dataclass(frozen=True)
class ModelConfig:
    """The architecture of one SAG-VAE (sections 3.2-3.3); ``graph="identity"`` is the paper's vanilla VAE."""

    num_nodes: int
    num_channels: int = 1
    latent: str = "per_node"  # an own Gaussian for every feature: where the graph helps most (section 3.2)
    latent_channels: int = 1
    latent_dim: int = 20  # size of the one code of a sample; only read when latent="per_sample"
    local_codes: bool = False  # per sample: each code starts at one node, so that others hear of it through the graph
    graph: str = "learned"
    # q(z|x)
    encoder: str = "node"  # shared by all nodes and blind to the others: the decoder's graph is the only mixer
    encoder_hidden: int = 32
    encoder_activation: str = "relu"
    node_embedding: int = 16  # tells the shared encoder which node it looks at
    initial_log_variance: float = -2.0  # a confident start keeps the graph's gradient above the sampling noise
    # q(A|x)
    edge_logits: str = "free"
    edge_logit_scale: float = 10.0  # logits move this much faster than weights under Adam
    edge_logit_init: float = -1.0
    edge_prior: float = 0.1  # p(A_ij = 1); the true density makes it the paper's "informative prior"
    edge_regulariser: str = "kl"
    edge_weights: str = "none"
    edge_weight_init: float = 1.0  # of signed ones; at 1, eq. 15 starts as eq. 12
    weighted_convolution: bool = False  # True: W^e also weighs the graph convolution, not only attention (eq. 15)
    hard_edges: bool = False  # straight-through 0/1 samples; relaxed ones train better
    # p(x|z,A)
    hidden: tuple[int, ...] = (16, 16)  # one width per hidden layer; the last layer maps to C
    activation: str = "relu"
    normalisation: str = "row"  # eq. 1
    self_loops: bool = True  # the + I of eq. 1
    attention: tuple[int, ...] = ()  # indices of the layers with neighbour attention (eq. 11-16), 0 first
    attention_channels: int = 4
    z_skip: bool = True  # eq. 17
    node_bias: bool = False  # an own output bias for every node: the mean picture
    node_scale: bool = False  # an own scale s_i: j speaks to i as s_i / s_j, so symmetric weights fit unequal columns
    edge_functions: int = 0  # nonlinear messages along each edge, beside the linear one of the convolution
    output: str = "sigmoid"
    likelihood: str = "bernoulli"
    likelihood_scale: str = "shared"
    initial_scale: float = 0.3
    initial_outlier_rate: float = 0.1  # robust likelihood: the first guess of the share of damaged values
    binary_nodes: tuple[int, ...] = ()  # of the Gaussian likelihood: nodes that are Bernoulli instead, above 0 or not
    missing: bool = False  # rows may hold NaN: the bound is over what was observed
    completion: CompletionConfig | None = None  # a second decoder on the learned graph, which fills in hidden nodes

    def __post_init__(self) -> None:
        for name, low in (("num_nodes", 1), ("num_channels", 1), ("latent_channels", 1), ("latent_dim", 1),
                          ("encoder_hidden", 1), ("node_embedding", 0), ("attention_channels", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < low:
                raise expected(f"model.{name}", f"a whole number of at least {low}", value)
        for name, allowed in (("latent", LATENTS), ("graph", GRAPHS), ("encoder", ENCODERS),
                              ("encoder_activation", ACTIVATIONS), ("edge_logits", EDGE_LOGITS),
                              ("edge_regulariser", EDGE_REGULARISERS), ("edge_weights", EDGE_WEIGHTS),
                              ("activation", ACTIVATIONS), ("normalisation", NORMALISATIONS), ("output", OUTPUTS),
                              ("likelihood", LIKELIHOODS), ("likelihood_scale", SCALES)):
            one_of(f"model.{name}", getattr(self, name), allowed)
        in_range("model.edge_prior", self.edge_prior, 0, 1, open_ends=True)
        in_range("model.edge_weight_init", self.edge_weight_init, -100, 100)
        if not isinstance(self.edge_functions, int) or not 0 <= self.edge_functions <= 64:
            raise expected("model.edge_functions", "a whole number from 0 to 64", self.edge_functions)
        in_range("model.initial_scale", self.initial_scale, 1e-3, 1e3)
        in_range("model.initial_outlier_rate", self.initial_outlier_rate, 0, 1, open_ends=True)
        in_range("model.edge_logit_scale", self.edge_logit_scale, 1e-3, 1e3)
        if len(self.hidden) > MOST_LAYERS or any(width < 1 for width in self.hidden):
            raise expected("model.hidden", f"at most {MOST_LAYERS} widths of at least 1", self.hidden)
        if any(not 0 <= layer < self.num_layers for layer in self.attention):
            raise expected("model.attention", f"layer indices from 0 to {self.num_layers - 1}", self.attention)
        if self.graph == "identity" and not self.self_loops:
            raise expected("model.self_loops", "True when graph='identity'", False,
                           "Without them no node would reach its own output.")
        if self.encoder == "linear" and (self.latent != "per_node" or self.latent_channels != self.num_channels):
            raise expected("model.latent_channels", f"num_channels = {self.num_channels}, per node, when "
                           "encoder='linear'", f"{self.latent_channels}, {self.latent}")
        if self.local_codes and (self.latent != "per_sample"
                                 or self.latent_dim > self.num_nodes * self.latent_channels):
            raise expected("model.local_codes", "False unless latent='per_sample' and latent_dim is at most num_nodes "
                           f"x latent_channels = {self.num_nodes * self.latent_channels}", self.local_codes)
        if self.edge_functions and (self.latent != "per_node" or self.latent_channels != self.num_channels
                                    or self.graph == "identity"):
            raise expected("model.edge_functions", "0 unless the graph is learned and every node has as many latent "
                           "channels as channels", self.edge_functions)
        if self.likelihood == "bernoulli" and self.output != "sigmoid":
            raise expected("model.output", "'sigmoid' with the Bernoulli likelihood", repr(self.output))
        if self.binary_nodes and (self.likelihood != "gaussian" or self.num_channels != 1
                                  or not set(self.binary_nodes) <= set(range(self.num_nodes))):
            raise expected("model.binary_nodes", f"empty, or nodes from 0 to {self.num_nodes - 1} of one channel under "
                           "the Gaussian likelihood", self.binary_nodes)
        if self.missing and (self.edge_logits != "free" or self.completion is not None):
            raise expected("model.missing", "False unless edge logits are free and there is no completion", True)
        if self.completion is not None and (self.num_channels != 1 or self.output != "sigmoid"):
            raise expected("model.completion", "None unless every node is one value from 0 to 1 (num_channels = 1, "
                           "output 'sigmoid')", f"{self.num_channels} channels, output {self.output!r}")
        if self.weighted_convolution and self.edge_weights == "none":
            raise expected("model.edge_weights", "'positive' or 'signed' when weighted_convolution is on", "'none'")

    @property
    def num_layers(self) -> int:
        """Graph layers of the decoder, the output layer included."""
        return len(self.hidden) + 1

    @property
    def num_pairs(self) -> int:
        """Unordered pairs of nodes, N(N-1)/2: the number of possible edges."""
        return self.num_nodes * (self.num_nodes - 1) // 2


@dataclass(frozen=True)
class ReferenceConfig:
    """The models SAG-VAE is compared with.

    ``kind="mlp_vae"`` has one small code; ``"dae"`` and ``"conv_dae"`` learn from clean targets, the latter by
    convolutions, so it is told which pixels are neighbours.
    """

    kind: str
    num_nodes: int
    num_channels: int = 1
    latent_dim: int = 20
    hidden: tuple[int, ...] = (400,)  # conv_dae: the channels of each residual block, the same for all
    denoise: bool = False  # dae and conv_dae: the target is the clean row; the mlp_vae never sees one
    likelihood: str = "bernoulli"
    image_shape: tuple[int, int] | None = None  # conv_dae: (height, width)

    def __post_init__(self) -> None:
        one_of("model.kind", self.kind, REFERENCES)
        one_of("model.likelihood", self.likelihood, ("bernoulli", "gaussian"))
        if min(self.num_nodes, self.num_channels, self.latent_dim, *self.hidden) < 1:
            raise expected("model sizes", "at least 1", self)
        if self.kind != "conv_dae":
            if self.image_shape is not None:
                raise expected("model.image_shape", "None unless model.kind is 'conv_dae'", self.image_shape)
            return
        shape = self.image_shape
        if shape is None or len(shape) != 2 or min(shape) < 1 or shape[0] * shape[1] != self.num_nodes:
            raise expected("model.image_shape", f"(height, width) with height * width = {self.num_nodes} nodes", shape,
                           "Convolutions need pictures.")
        if len(set(self.hidden)) != 1:
            raise expected("model.hidden", "the same width for every residual block, at least one", self.hidden)


@dataclass(frozen=True)
class StageConfig:
    """One stretch of training with its own loss weights; a fresh optimiser starts each stage.

    A stage with ``objective="completion"`` trains :mod:`.completion` alone, on the graph the stages before have found.
    """

    epochs: int = 10
    objective: str = "elbo"
    likelihood: str | None = None  # None: the model's own; "bernoulli" warms a robust model up
    kl_z_weight: float = 1.0
    kl_graph_weight: float = 1.0  # beta of eq. 9, against the sum over all pairs
    learning_rate: float = 5e-3
    constant_share: float = 1.0  # after this share of the stage the rate falls linearly ...
    final_rate: float = 1.0  # ... to this share of it
    warmup_steps: int = 0  # the rate rises linearly over so many steps
    # completion: what is hidden from the network and asked for
    hide_share: float = 0.2  # of the nodes, each by itself
    hide_regions: int = 0  # balls of the learned graph besides
    trust: bool = False  # hide also what the network itself believes to be damaged

    def __post_init__(self) -> None:
        in_range("stage.epochs", self.epochs, 1, 10**6)
        one_of("stage.objective", self.objective, OBJECTIVES)
        if self.likelihood is not None:
            one_of("stage.likelihood", self.likelihood, LIKELIHOODS)
        in_range("stage.kl_z_weight", self.kl_z_weight, 0, 1e6)
        in_range("stage.kl_graph_weight", self.kl_graph_weight, 0, 1e6)
        in_range("stage.learning_rate", self.learning_rate, 1e-8, 10)
        in_range("stage.constant_share", self.constant_share, 0, 1)
        in_range("stage.final_rate", self.final_rate, 0, 1)
        in_range("stage.warmup_steps", self.warmup_steps, 0, 10**6)
        in_range("stage.hide_share", self.hide_share, 0, 1, open_ends=True)
        in_range("stage.hide_regions", self.hide_regions, 0, 100)


@dataclass(frozen=True)
class TrainConfig:
    """How a model is fitted. ``epochs`` is a short form for a single stage; ``stages`` says more."""

    epochs: int | None = None
    stages: tuple[StageConfig, ...] = ()
    batch_size: int = 128
    clip_norm: float = 50.0
    temperature: tuple[float, float] = (0.5, 0.5)  # concrete temperature at the first and last step, geometric between
    density_interval: int = 10  # steps between two bisections of the matched edge bias
    posterior_decay: float = 0.98  # running average of the edge posterior over batches
    patience: int | None = None  # epochs without a better held-out ELBO before the last stage stops
    precision: str = "no"
    device: str = "auto"
    seed: int = 0
    trackers: tuple[str, ...] = ()  # beside the records: where else they go, through Accelerate

    def __post_init__(self) -> None:
        if self.stages and self.epochs is not None:
            raise expected("train", "either epochs or stages", "both", "Set epochs inside each stage.")
        if len(self.stages) > MOST_STAGES:
            raise expected("train.stages", f"at most {MOST_STAGES:,} stages", f"{len(self.stages):,}")
        if not self.stages:
            object.__setattr__(self, "stages", (StageConfig(epochs=10 if self.epochs is None else self.epochs),))
            object.__setattr__(self, "epochs", None)
        in_range("train.batch_size", self.batch_size, 1, 10**7)
        in_range("train.clip_norm", self.clip_norm, 0, 1e9, open_ends=True)
        for value in self.temperature:
            in_range("train.temperature", value, 1e-3, 100)
        in_range("train.density_interval", self.density_interval, 1, 10**6)
        in_range("train.posterior_decay", self.posterior_decay, 0, 1)
        in_range("train.seed", self.seed, 0, 2**31 - 1)
        if self.patience is not None:
            in_range("train.patience", self.patience, 1, 10**6)
        one_of("train.precision", self.precision, PRECISIONS)
        for name in self.trackers:
            one_of("train.trackers", name, TRACKERS)

    @property
    def total_epochs(self) -> int:
        return sum(stage.epochs for stage in self.stages)
