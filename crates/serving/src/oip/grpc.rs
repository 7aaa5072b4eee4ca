//! gRPC: `inference.GRPCInferenceService`.

use std::sync::Arc;

use bytes::Bytes;
use tonic::{Request, Response, Status};

use crate::{
    engine::{Engine, wanted_outputs},
    error::{Error, Result},
    limits::Limits,
    proto::{
        inference::{
            InferTensorContents, ModelInferRequest, ModelInferResponse, ModelMetadataRequest, ModelMetadataResponse,
            ModelReadyRequest, ModelReadyResponse, ServerLiveRequest, ServerLiveResponse, ServerMetadataRequest,
            ServerMetadataResponse, ServerReadyRequest, ServerReadyResponse,
            grpc_inference_service_server::GrpcInferenceService, model_infer_request::InferInputTensor,
            model_infer_response::InferOutputTensor, model_metadata_response::TensorMetadata,
        },
        typed_lists,
    },
    registry::{Servable, State, Version},
    tensor::{Data, DataType, Dimension, Tensor, TensorSpec},
};

/// The service over an engine.
#[derive(Clone)]
pub(crate) struct OpenInference(pub(crate) Arc<Engine>);

impl OpenInference {
    fn refuse(&self, error: Error) -> Status {
        self.0.metrics().refused(error.reason());
        error.into()
    }

    async fn infer(&self, mut request: ModelInferRequest) -> Result<(ModelInferResponse, Arc<Servable>)> {
        let servable = self.0.registry().find(&request.model_name, &super::version(&request.model_version)?)?;
        check_parameters(&request)?;
        let wanted = wanted_outputs(&servable, request.outputs.iter().map(|output| output.name.as_str()))?;
        let raw = !request.raw_input_contents.is_empty();
        let inputs = inputs(&servable, &mut request, self.0.limits())?;
        let outputs = self.0.predict(&servable, inputs, &wanted).await?;
        let mut response = ModelInferResponse {
            model_name: servable.name.clone(),
            model_version: servable.version.to_string(),
            id: request.id,
            ..ModelInferResponse::default()
        };
        for (&place, tensor) in wanted.iter().zip(outputs) {
            let Some(spec) = servable.model.outputs().get(place) else { continue };
            push_output(&mut response, spec, tensor, raw);
        }
        Ok((response, servable))
    }

    fn metadata(&self, request: &ModelMetadataRequest) -> Result<ModelMetadataResponse> {
        let servable = self.0.registry().find(&request.name, &super::version(&request.version)?)?;
        let tensors = |specs: &[TensorSpec]| specs.iter().map(tensor_metadata).collect();
        Ok(ModelMetadataResponse {
            name: servable.name.clone(),
            versions: available_versions(&self.0, &servable.name),
            platform: servable.platform.to_owned(),
            inputs: tensors(servable.model.inputs()),
            outputs: tensors(servable.model.outputs()),
        })
    }
}

/// The versions of a model that can be asked for.
pub(super) fn available_versions(engine: &Engine, name: &str) -> Vec<String> {
    let states = engine.registry().states(name, &Version::Latest).unwrap_or_default();
    let available = states.iter().filter(|(_, state)| matches!(state, State::Available(_)));
    available.map(|(version, _)| version.to_string()).collect()
}

fn tensor_metadata(spec: &TensorSpec) -> TensorMetadata {
    TensorMetadata {
        name: spec.name.clone(),
        datatype: spec.data_type.name().to_owned(),
        shape: spec.shape.iter().map(Dimension::size).collect(),
    }
}

fn check_parameters(request: &ModelInferRequest) -> Result<()> {
    let of_inputs = request.inputs.iter().flat_map(|input| input.parameters.keys());
    let of_outputs = request.outputs.iter().flat_map(|output| output.parameters.keys());
    request.parameters.keys().chain(of_inputs).chain(of_outputs).try_for_each(|name| super::check_parameter(name))
}

fn inputs(servable: &Servable, request: &mut ModelInferRequest, limits: &Limits) -> Result<Vec<(String, Tensor)>> {
    let raw = std::mem::take(&mut request.raw_input_contents);
    if !raw.is_empty() && raw.len() != request.inputs.len() {
        let expected = format!("{} (one for each input) or none", request.inputs.len());
        return Err(Error::invalid("raw_input_contents", expected, raw.len().to_string()));
    }
    let mut raw = raw.into_iter();
    let decode = |input| decode_input(servable, input, raw.next(), limits);
    std::mem::take(&mut request.inputs).into_iter().map(decode).collect()
}

fn decode_input(
    servable: &Servable,
    input: InferInputTensor,
    raw: Option<Bytes>,
    limits: &Limits,
) -> Result<(String, Tensor)> {
    let spec = servable.input(&input.name)?;
    let place = spec.place();
    check_type(spec, &input.datatype)?;
    let (shape, _) = limits.shape(&place, &input.shape)?;
    let data = match (raw, input.contents) {
        (Some(raw), None) => Data::from_raw(&place, spec.data_type, &raw)?,
        (None, Some(contents)) => from_lists(&place, spec.data_type, contents)?,
        (Some(_), Some(_)) => return Err(Error::invalid(place, "contents or raw_input_contents", "both")),
        (None, None) => return Err(Error::invalid(place, "contents or raw_input_contents", "neither")),
    };
    Ok((input.name, Tensor::new(&place, shape, data)?))
}

/// That the client names the type that the model declares.
pub(super) fn check_type(spec: &TensorSpec, datatype: &str) -> Result<()> {
    if datatype == spec.data_type.name() {
        return Ok(());
    }
    Err(Error::invalid(spec.place(), spec.data_type.name(), format!("`{datatype}`")))
}

typed_lists!(InferTensorContents {
    Bool: bool_contents,
    U32: uint_contents,
    U64: uint64_contents,
    I32: int_contents,
    I64: int64_contents,
    F32: fp32_contents,
    F64: fp64_contents,
} strings { bytes_contents } narrow {
    U8: uint_contents,
    U16: uint_contents,
    I8: int_contents,
    I16: int_contents,
});

/// Adds an output, in raw form if the inputs came so.
fn push_output(response: &mut ModelInferResponse, spec: &TensorSpec, tensor: Tensor, raw: bool) {
    let mut output = InferOutputTensor {
        name: spec.name.clone(),
        datatype: spec.data_type.name().to_owned(),
        shape: tensor.dimensions().collect(),
        ..InferOutputTensor::default()
    };
    if raw {
        let mut bytes = Vec::new();
        tensor.data().write_raw(&mut bytes);
        response.raw_output_contents.push(bytes.into());
    } else {
        output.contents = Some(into_lists(tensor.into_data(), InferTensorContents::default()));
    }
    response.outputs.push(output);
}

#[tonic::async_trait]
impl GrpcInferenceService for OpenInference {
    async fn server_live(&self, _: Request<ServerLiveRequest>) -> Result<Response<ServerLiveResponse>, Status> {
        Ok(Response::new(ServerLiveResponse { live: true }))
    }

    async fn server_ready(&self, _: Request<ServerReadyRequest>) -> Result<Response<ServerReadyResponse>, Status> {
        Ok(Response::new(ServerReadyResponse { ready: self.0.registry().is_ready() }))
    }

    async fn model_ready(&self, request: Request<ModelReadyRequest>) -> Result<Response<ModelReadyResponse>, Status> {
        let request = request.into_inner();
        let found =
            super::version(&request.version).and_then(|version| self.0.registry().find(&request.name, &version));
        match found {
            Ok(_) => Ok(Response::new(ModelReadyResponse { ready: true })),
            Err(Error::NotAvailable { .. }) => Ok(Response::new(ModelReadyResponse { ready: false })),
            Err(error) => Err(self.refuse(error)),
        }
    }

    async fn server_metadata(
        &self,
        _: Request<ServerMetadataRequest>,
    ) -> Result<Response<ServerMetadataResponse>, Status> {
        Ok(Response::new(ServerMetadataResponse {
            name: super::SERVER.into(),
            version: super::SERVER_VERSION.into(),
            extensions: super::EXTENSIONS.iter().map(|&extension| extension.into()).collect(),
        }))
    }

    async fn model_metadata(
        &self,
        request: Request<ModelMetadataRequest>,
    ) -> Result<Response<ModelMetadataResponse>, Status> {
        self.metadata(&request.into_inner()).map(Response::new).map_err(|error| self.refuse(error))
    }

    async fn model_infer(&self, request: Request<ModelInferRequest>) -> Result<Response<ModelInferResponse>, Status> {
        let (answer, servable) = self.infer(request.into_inner()).await.map_err(|error| self.refuse(error))?;
        let mut response = Response::new(answer);
        response.extensions_mut().insert(servable);
        Ok(response)
    }
}
