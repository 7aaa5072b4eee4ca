//! What every protocol stands on: find the model, check the inputs against what it declares, compute, pick the outputs.

use std::{collections::HashMap, sync::Arc, time::Instant};

use crate::{
    error::{Error, Result},
    lanes::Lanes,
    limits::Limits,
    metrics::Metrics,
    places::Places,
    registry::{Registry, Servable},
    runtime::Runtime,
    tensor::{Dimension, Tensor, TensorSpec},
    workers::Workers,
};

/// The models, the threads they run on, the limits and the counts of one server.
pub struct Engine {
    registry: Arc<Registry>,
    workers: Workers,
    lanes: Lanes,
    places: Places,
    limits: Limits,
    metrics: Metrics,
}

impl Engine {
    /// An engine with so many threads that compute, and as many that serve connections and compute what is prompt themselves.
    ///
    /// # Errors
    /// If the system gives no threads.
    pub fn start(
        registry: Arc<Registry>,
        runtime: &Arc<dyn Runtime>,
        threads: usize,
        limits: Limits,
    ) -> std::io::Result<Self> {
        let workers = Workers::start(runtime, threads, limits.requests)?;
        let lanes = Lanes::start(runtime, threads)?;
        Ok(Self { registry, workers, lanes, places: Places::new(&limits), limits, metrics: Metrics::new() })
    }

    /// The models.
    #[must_use]
    pub const fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// The limits.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The counts.
    #[must_use]
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The threads that serve connections.
    pub(crate) const fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// The places for what is bounded.
    pub(crate) const fn places(&self) -> &Places {
        &self.places
    }

    /// Computes a prediction: named inputs in, the outputs in `wanted` out, by place in [`crate::Model::outputs`].
    ///
    /// # Errors
    /// [`Error::Invalid`] if an input is unknown, missing, given twice, or not what the model declares;
    /// [`Error::TooLarge`] for the batch; [`Error::Overloaded`]; what the runtime says.
    pub async fn predict(
        &self,
        servable: &Arc<Servable>,
        inputs: Vec<(String, Tensor)>,
        wanted: &[usize],
    ) -> Result<Vec<Tensor>> {
        let inputs = in_order(servable, inputs, &self.limits)?;
        let started = Instant::now();
        let outputs = self.workers.run(Arc::clone(servable), inputs).await?;
        self.metrics.predicted(servable, started.elapsed());
        let mut outputs: Vec<Option<Tensor>> = outputs.into_iter().map(Some).collect();
        let pick = |&place: &usize| outputs.get_mut(place).and_then(Option::take);
        wanted.iter().map(pick).collect::<Option<_>>().ok_or_else(|| Error::Runtime {
            model: servable.name.clone(),
            problem: "it gave fewer outputs than the model declares".into(),
        })
    }
}

/// The places of the wanted outputs; of all if none is named.
///
/// # Errors
/// [`Error::Invalid`] for an output that the model does not have, or one named twice.
pub(crate) fn wanted_outputs<'a>(servable: &Servable, names: impl IntoIterator<Item = &'a str>) -> Result<Vec<usize>> {
    let mut places = Vec::new();
    for name in names {
        let place = servable.output(name).ok_or_else(|| {
            let known: Vec<&str> = servable.model.outputs().iter().map(|spec| spec.name.as_str()).collect();
            Error::invalid("outputs", format!("the names {}", known.join(", ")), format!("`{name}`"))
        })?;
        if places.contains(&place) {
            return Err(Error::invalid("outputs", "each name once", format!("`{name}` twice")));
        }
        places.push(place);
    }
    if places.is_empty() {
        places.extend(0..servable.model.outputs().len());
    }
    Ok(places)
}

fn in_order(servable: &Servable, named: Vec<(String, Tensor)>, limits: &Limits) -> Result<Vec<Tensor>> {
    let specs = servable.model.inputs();
    let mut inputs: Vec<Option<Tensor>> = specs.iter().map(|_| None).collect();
    for (name, tensor) in named {
        let spec = servable.input(&name)?;
        spec.accept(&tensor)?;
        if let Some(Dimension::Any(_)) = spec.shape.first() {
            limits.batch(tensor.shape().first().copied().unwrap_or_default())?;
        }
        let slot = specs.iter().position(|spec| spec.name == name).and_then(|place| inputs.get_mut(place));
        if slot.and_then(|slot| slot.replace(tensor)).is_some() {
            return Err(Error::invalid("inputs", "each name once", format!("`{name}` twice")));
        }
    }
    let missing = |spec: &TensorSpec| Error::invalid("inputs", format!("`{}`", spec.name), "none of that name");
    let inputs = inputs.into_iter().zip(specs).map(|(input, spec)| input.ok_or_else(|| missing(spec)));
    let inputs = inputs.collect::<Result<Vec<_>>>()?;
    check_names(specs, &inputs)?;
    Ok(inputs)
}

/// That dimensions of one name have one size, in all inputs: the batch, most often.
fn check_names(specs: &[TensorSpec], inputs: &[Tensor]) -> Result<()> {
    let mut sizes = HashMap::new();
    for (spec, input) in specs.iter().zip(inputs) {
        for (dimension, &size) in spec.shape.iter().zip(input.shape()) {
            let Dimension::Any(name) = dimension else { continue };
            let (before, first) = *sizes.entry(name).or_insert((size, spec));
            if before != size && !name.is_empty() {
                let expected = format!("{before} for `{name}`, as in {}", first.place());
                return Err(Error::invalid(spec.place(), expected, size.to_string()));
            }
        }
    }
    Ok(())
}
