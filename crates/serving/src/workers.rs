//! The threads on which models run, so that computing never holds up the ones that serve connections; but for models that take
//! less time than the way to another thread.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
};

use sealwright_channel::peers::Share;
use tokio::sync::oneshot;

use crate::{
    error::{Error, Result},
    lanes,
    pace::Run,
    places,
    registry::Servable,
    runtime::Runtime,
    tensor::Tensor,
};

/// One prediction to compute and where its answer goes.
struct Job {
    servable: Arc<Servable>,
    inputs: Vec<Tensor>,
    answer: oneshot::Sender<Result<Vec<Tensor>>>,
    /// The request's place is the work's, which a client that leaves does not end: or it could fill the queue with what nobody
    /// waits for.
    place: Option<Arc<Share>>,
}

/// Worker threads and the bounded queue before them. They end when this is dropped and the queue is empty.
pub(crate) struct Workers {
    queue: SyncSender<Job>,
    room: usize,
}

impl Workers {
    /// Starts `threads` workers (at least one) with room for so many predictions before them.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub(crate) fn start(runtime: &Arc<dyn Runtime>, threads: usize, room: usize) -> std::io::Result<Self> {
        let (queue, jobs) = sync_channel(room);
        let jobs = Arc::new(Mutex::new(jobs));
        for number in 0..threads.max(1) {
            let (runtime, jobs) = (Arc::clone(runtime), Arc::clone(&jobs));
            let work = move || runtime.enter(&mut || work(&jobs));
            thread::Builder::new().name(format!("predict-{number}")).spawn(work)?;
        }
        Ok(Self { queue, room })
    }

    /// Computes a prediction on a worker; or here, if that is a thread where it runs at once and promptly.
    ///
    /// # Errors
    /// [`Error::Overloaded`] if the queue is full; what the runtime says; [`Error::Runtime`] if it panicked.
    pub(crate) async fn run(&self, servable: Arc<Servable>, inputs: Vec<Tensor>) -> Result<Vec<Tensor>> {
        if lanes::here() && servable.pace.is_prompt(elements(&inputs)) {
            return run(&servable, &inputs);
        }
        let model = servable.name.clone();
        let (answer, answered) = oneshot::channel();
        self.queue.try_send(Job { servable, inputs, answer, place: places::taken() }).map_err(|error| match error {
            TrySendError::Full(_) => Error::Overloaded { what: "requests in work", most: self.room },
            TrySendError::Disconnected(_) => stopped(model.clone()),
        })?;
        answered.await.unwrap_or_else(|_| Err(stopped(model)))
    }
}

fn stopped(model: String) -> Error {
    Error::Runtime { model, problem: "its workers have stopped".into() }
}

fn work(jobs: &Mutex<Receiver<Job>>) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // Nobody waits any more: the client left, or its time is over.
        if job.answer.is_closed() {
            continue;
        }
        let outputs = run(&job.servable, &job.inputs);
        // First, so that whoever has an answer can ask again.
        drop(job.place);
        // A client that has left while it was computed gets nothing.
        let _ = job.answer.send(outputs);
    }
}

fn elements(inputs: &[Tensor]) -> usize {
    inputs.iter().map(|input| input.data().len()).sum()
}

/// Runs a model; a panic of the runtime is this request's error and nobody else's. A model is not changed by a run, so
/// none can be left half-changed.
fn run(servable: &Servable, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
    let this = Run::begin();
    let outputs = catch_unwind(AssertUnwindSafe(|| servable.model.run(inputs))).unwrap_or_else(|_| {
        Err(Error::Runtime { model: servable.name.clone(), problem: "it panicked; its log has the place".into() })
    });
    servable.pace.ran(elements(inputs), this.took());
    outputs
}
