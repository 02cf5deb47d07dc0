//! The fuzz targets: each file is a program of the fuzz crate, so that the weekly run takes it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[test]
fn every_fuzz_target_is_a_program_of_the_fuzz_crate() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
    let files = fs::read_dir(directory.join("targets")).unwrap();
    let files: BTreeSet<String> = files
        .map(|file| file.unwrap().path())
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let manifest = fs::read_to_string(directory.join("Cargo.toml")).unwrap();
    let programs = manifest.split("[[bin]]\n").skip(1).map(|program| {
        let mut lines = program.lines();
        let mut value = |name: &str| {
            let line = lines.next().and_then(|line| line.strip_prefix(name));
            let quoted = line.and_then(|line| line.strip_prefix(" = \""));
            let value = quoted.and_then(|value| value.strip_suffix('"'));
            value.unwrap_or_else(|| panic!("{name}: {program}"))
        };
        let (name, path) = (value("name"), value("path"));
        assert_eq!(path, format!("targets/{name}.rs"));
        name.to_owned()
    });
    assert_eq!(files, programs.collect());
}
