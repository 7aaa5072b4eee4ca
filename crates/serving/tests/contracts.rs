//! The code in `src/proto/generated` is what the wire contracts of `proto/` say. Whoever changes a contract writes it anew:
//!
//! ```text
//! SEALWRIGHT_WRITE_CONTRACTS=1 cargo test -p sealwright-serving --test contracts
//! ```
//!
//! It is kept, and not made by each build, so that building needs neither a compiler of contracts nor what that is made of.

use protox::prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor};
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::Path;

const CONTRACTS: [&str; 3] = ["tensorflow_serving.proto", "open_inference.proto", "onnx.proto"];

#[test]
fn the_generated_code_is_of_these_contracts() {
    let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let made = tempfile::tempdir().unwrap();
    generate(&crate_root.join("proto"), made.path());
    let kept = crate_root.join("src/proto/generated");
    if env::var_os("SEALWRIGHT_WRITE_CONTRACTS").is_some() {
        for (name, code) in files(made.path()) {
            fs::write(kept.join(name), code).unwrap();
        }
    }
    let (made, kept) = (files(made.path()), files(&kept));
    assert_eq!(made.keys().collect::<Vec<_>>(), kept.keys().collect::<Vec<_>>());
    for (name, code) in &made {
        assert!(kept[name] == *code, "{name} is not what proto/ says: see the head of this file");
    }
}

fn files(folder: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let file =
        |entry: fs::DirEntry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap());
    entries.map(file).collect()
}

/// Writes the code of the contracts in a folder into another.
fn generate(contracts: &Path, to: &Path) {
    let descriptors = protox::compile(CONTRACTS, [contracts]).unwrap();
    let layouts = layouts(&DescriptorPool::from_file_descriptor_set(descriptors.clone()).unwrap());
    fs::write(to.join("layouts.rs"), layouts).unwrap();
    // Maps as ordered trees: equal answers then have equal bytes, which is what a receipt is over. Tensors as `Bytes`:
    // they are slices of the request's buffer, not copies.
    tonic_prost_build::configure()
        .out_dir(to)
        .btree_map(".")
        .bytes(".tensorflow.TensorProto.tensor_content")
        .bytes(".inference.ModelInferRequest.raw_input_contents")
        .bytes(".inference.ModelInferResponse.raw_output_contents")
        .codec_path("crate::proto::BoundedCodec")
        .compile_fds(descriptors)
        .unwrap();
}

/// For each message that a call takes or gives, and for those in it, where its messages and lists of numbers are: the
/// `Layout`s of `src/proto/codec.rs`.
fn layouts(contracts: &DescriptorPool) -> String {
    let calls = contracts.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    let messages: BTreeMap<_, _> = calls
        .flat_map(|call| [call.input(), call.output()])
        .map(|message| (message.full_name().to_owned(), message))
        .collect();
    let mut written = BTreeSet::new();
    let mut code = String::new();
    for (name, message) in messages {
        write_layout(&mut code, &mut written, &message);
        let (path, layout) = (name.replace('.', "::"), constant(&message));
        code += &format!("impl Bounded for super::{path} {{ const LAYOUT: &'static Layout = &{layout}; }}\n");
    }
    code
}

fn write_layout(code: &mut String, written: &mut BTreeSet<String>, message: &MessageDescriptor) {
    if !written.insert(message.full_name().to_owned()) {
        return;
    }
    let kinds: Vec<String> = message
        .fields()
        .filter_map(|field| Some((field.number(), kind(&field)?)))
        .map(|(number, kind)| format!("({number}, {kind})"))
        .collect();
    code.push_str(&format!("static {}: Layout = Layout(&[{}]);\n", constant(message), kinds.join(", ")));
    for inner in message.fields().filter_map(|field| field.kind().as_message().cloned()) {
        write_layout(code, written, &inner);
    }
}

fn kind(field: &FieldDescriptor) -> Option<String> {
    match field.kind() {
        Kind::Message(inner) => Some(format!("Kind::Message(&{})", constant(&inner))),
        // As long in memory as on the wire, or shorter.
        Kind::Double | Kind::Float | Kind::Fixed32 | Kind::Fixed64 | Kind::Sfixed32 | Kind::Sfixed64 | Kind::Bool => {
            None
        }
        Kind::String | Kind::Bytes => None,
        Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64 | Kind::Sint32 | Kind::Sint64 | Kind::Enum(_) => {
            field.is_list().then(|| "Kind::Numbers".to_owned())
        }
    }
}

fn constant(message: &MessageDescriptor) -> String {
    message.full_name().replace('.', "_").to_uppercase()
}
