//! The other ends of a site's sockets: [`Client`] for a workload, [`Control`] for the operator.
//!
//! Each call makes a connection of its own. A call whose connection breaks is not repeated: the site may have done it already.

use crate::{
    Error,
    address::connect,
    protocol::{
        Aged, BootRequest, ControlRequest, Description, Done, EventLogReply, EvidenceReply, MAX_REPLY,
        MeasurementsReply, Reply, Root, TdRequest, decode, read_message, write_message,
    },
    site::Status,
};
use sealwright_evidence::{Backend, Collected, Measurement};
use sealwright_wire::{Tee, aael::RuntimeEvent, collateral::Bundle, tcg2::AlgorithmId};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// How long a site may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A simulated machine as a back end of `evidence`, reached through its socket.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
    machine: String,
}

impl Client {
    /// Makes sure that a simulated machine answers at `socket`.
    ///
    /// # Errors
    /// When nobody does, or it is no simulated machine.
    pub fn connect(socket: impl Into<PathBuf>) -> Result<Self, Error> {
        let socket = socket.into();
        let description: Description = call(&socket, &TdRequest::Describe)?;
        match description {
            Description { machine, tee: Tee::Tdx, simulated: true, .. } => Ok(Self { socket, machine }),
            other => Err(Error::Protocol { expected: "a simulated TDX machine", found: format!("{other:?}") }),
        }
    }

    /// The machine's name.
    pub fn machine(&self) -> &str {
        &self.machine
    }

    fn collect(&self, report_data: &[u8; 64]) -> Result<Collected, Error> {
        let reply: EvidenceReply = call(&self.socket, &TdRequest::Evidence { report_data: *report_data })?;
        Ok(Collected { quote: reply.quote, event_log: Some(reply.event_log) })
    }
}

impl Backend for Client {
    fn name(&self) -> &'static str {
        crate::BACKEND
    }

    fn tee(&self) -> Tee {
        Tee::Tdx
    }

    fn quote(&self, report_data: &[u8; 64]) -> Result<Vec<u8>, sealwright_evidence::Error> {
        Ok(self.collect(report_data)?.quote)
    }

    fn event_log(&self) -> Result<Option<Vec<u8>>, sealwright_evidence::Error> {
        let reply: EventLogReply = call(&self.socket, &TdRequest::EventLog)?;
        Ok(Some(reply.event_log))
    }

    fn measurements(&self) -> Result<Vec<Measurement>, sealwright_evidence::Error> {
        let reply: MeasurementsReply = call(&self.socket, &TdRequest::Measurements)?;
        let registers = reply.registers;
        let named = [
            ("mrtd", registers.mrtd),
            ("rtmr0", registers.rtmr0),
            ("rtmr1", registers.rtmr1),
            ("rtmr2", registers.rtmr2),
            ("rtmr3", registers.rtmr3),
        ];
        let measurement = |(index, (name, value)): (u32, (&'static str, sealwright_wire::Digest<48>))| Measurement {
            index,
            name,
            algorithm: AlgorithmId::SHA384,
            value: value.0.to_vec(),
        };
        Ok((0..).zip(named).map(measurement).collect())
    }

    fn extend(&self, event: &RuntimeEvent) -> Result<(), sealwright_evidence::Error> {
        let Done {} = call(&self.socket, &TdRequest::Extend { event: event.clone() })?;
        Ok(())
    }

    fn evidence(&self, report_data: &[u8; 64]) -> Result<Collected, sealwright_evidence::Error> {
        Ok(self.collect(report_data)?)
    }
}

/// The operator's hand on a site, through its control socket.
#[derive(Clone, Debug)]
pub struct Control {
    socket: PathBuf,
}

impl Control {
    /// Makes sure that a site answers at `socket`.
    ///
    /// # Errors
    /// When none does.
    pub fn connect(socket: impl Into<PathBuf>) -> Result<Self, Error> {
        let control = Self { socket: socket.into() };
        control.status()?;
        Ok(control)
    }

    /// Boots another machine. Relative paths count from this process's working directory.
    ///
    /// # Errors
    /// As [`crate::Server::boot`].
    pub fn boot(&self, request: &BootRequest) -> Result<(), Error> {
        let mut request = request.clone();
        let BootRequest { socket, firmware, kernel, initrd, acpi, .. } = &mut request;
        let paths = [socket, firmware, kernel].into_iter().chain(initrd).chain(acpi.iter_mut().flatten());
        for path in paths {
            *path = std::path::absolute(&path).map_err(Error::io("find", &*path))?;
        }
        self.done(&ControlRequest::Boot(Box::new(request)))
    }

    /// Stops a machine.
    ///
    /// # Errors
    /// As [`crate::Site::stop`].
    pub fn stop(&self, name: &str) -> Result<(), Error> {
        self.done(&ControlRequest::Stop { name: name.to_owned() })
    }

    /// What the site is and what runs there.
    ///
    /// # Errors
    /// When the site does not answer.
    pub fn status(&self) -> Result<Status, Error> {
        call(&self.socket, &ControlRequest::Status)
    }

    /// Announces a TCB recovery; see [`crate::Site::age_tcb`].
    ///
    /// # Errors
    /// As there.
    pub fn age_tcb(&self) -> Result<u32, Error> {
        let reply: Aged = call(&self.socket, &ControlRequest::AgeTcb)?;
        Ok(reply.evaluation_number)
    }

    /// Installs the newest security versions; see [`crate::Site::update_platform`].
    ///
    /// # Errors
    /// As there.
    pub fn update_platform(&self) -> Result<(), Error> {
        self.done(&ControlRequest::UpdatePlatform)
    }

    /// Revokes the platform's certificate; see [`crate::Site::revoke_pck`].
    ///
    /// # Errors
    /// As there.
    pub fn revoke_pck(&self) -> Result<(), Error> {
        self.done(&ControlRequest::RevokePck)
    }

    /// The collateral for quotes of `tee`.
    ///
    /// # Errors
    /// When the site does not answer or cannot sign.
    pub fn collateral(&self, tee: Tee) -> Result<Bundle, Error> {
        call(&self.socket, &ControlRequest::Collateral { tee })
    }

    /// The vendor's root certificate in DER.
    ///
    /// # Errors
    /// When the site does not answer.
    pub fn root(&self) -> Result<Vec<u8>, Error> {
        let reply: Root = call(&self.socket, &ControlRequest::Root)?;
        Ok(reply.der)
    }

    /// Has root and collateral written into a directory; see [`crate::Site::publish`].
    ///
    /// # Errors
    /// As there.
    pub fn publish(&self, directory: &Path) -> Result<(), Error> {
        let directory = std::path::absolute(directory).map_err(Error::io("find", directory))?;
        self.done(&ControlRequest::Publish { directory })
    }

    /// Ends the site.
    ///
    /// # Errors
    /// When the site does not answer.
    pub fn shutdown(&self) -> Result<(), Error> {
        self.done(&ControlRequest::Shutdown)
    }

    fn done(&self, request: &ControlRequest) -> Result<(), Error> {
        let Done {} = call(&self.socket, request)?;
        Ok(())
    }
}

fn call<T: DeserializeOwned>(socket: &Path, request: &impl Serialize) -> Result<T, Error> {
    let mut stream = connect(socket).map_err(Error::io("connect to", socket))?;
    let limits = stream.set_read_timeout(Some(TIMEOUT)).and_then(|()| stream.set_write_timeout(Some(TIMEOUT)));
    limits.map_err(Error::io("connect to", socket))?;
    write_message(&mut stream, &serde_json::to_vec(request)?)?;
    let Some(reply) = read_message(&mut stream, MAX_REPLY)? else {
        return Err(Error::Protocol { expected: "a reply", found: "the end of the connection".to_owned() });
    };
    match decode("a reply", &reply)? {
        Reply::Ok(value) => Ok(value),
        Reply::Error(refusal) => Err(Error::Refused { code: refusal.code, message: refusal.message }),
    }
}
