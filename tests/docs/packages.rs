//! The Debian and the RPM package as Cargo.toml describes them: every file that they name is there or is made, and both have
//! the same ones. Not their construction, which CI does.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use toml::{Table, Value};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns a table of `[package.metadata]`.
fn metadata(name: &str) -> Table {
    let manifest: Table = text("Cargo.toml").parse().unwrap();
    let Value::Table(table) = &manifest["package"]["metadata"][name] else {
        panic!("{name} is no table");
    };
    table.clone()
}

/// Returns the source and the mode of each file of a package, by its place without a slash before it.
fn files(package: &Table) -> BTreeMap<String, (String, String)> {
    let assets = package["assets"].as_array().unwrap();
    let file = |asset: &Value| {
        let [source, place, mode] = match asset {
            Value::Array(_) => [&asset[0], &asset[1], &asset[2]],
            _ => [&asset["source"], &asset["dest"], &asset["mode"]],
        }
        .map(|value| value.as_str().unwrap());
        let place = place.trim_start_matches('/').to_owned();
        (place, (source.to_owned(), mode.to_owned()))
    };
    assets.iter().map(file).collect()
}

#[test]
fn every_file_of_a_package_is_in_the_source_or_is_made() {
    let makes = text(".ci/package");
    for name in ["deb", "generate-rpm"] {
        for (place, (source, mode)) in files(&metadata(name)) {
            let is_program = place.starts_with("usr/bin/");
            assert_eq!(mode, if is_program { "755" } else { "644" }, "{place}");
            if let Some(made) = source.strip_prefix("target/release/package/") {
                let (program, kind) = made.rsplit_once('.').unwrap();
                let (program, kind) = match kind {
                    "service" | "socket" => ("for unit in", format!(" {made}")),
                    shell => (program, format!(" {shell}")),
                };
                assert!(makes.contains(program) && makes.contains(&kind), "{source}");
            } else if let Some(program) = source.strip_prefix("target/release/") {
                assert!(["udpctl", "udpagent"].contains(&program), "{source}");
            } else {
                assert!(root().join(&source).is_file(), "{source}");
            }
        }
    }
}

#[test]
fn both_packages_have_the_same_files_except_where_distributions_differ() {
    let [debian, rpm] = ["deb", "generate-rpm"].map(|name| {
        let files = files(&metadata(name)).into_iter();
        // The Debian package gets its licences from the field of the manifest.
        let files = files.filter(|(place, _)| !place.contains("/licenses/"));
        files
            .map(|(place, (source, _))| {
                (
                    place.replace("/site-functions/", "/vendor-completions/"),
                    source,
                )
            })
            .collect::<BTreeMap<_, _>>()
    });
    assert_eq!(debian, rpm);
    for page in fs::read_dir(root().join("man")).unwrap() {
        let name = page.unwrap().file_name().into_string().unwrap();
        let section = name.rsplit('.').next().unwrap();
        let place = format!("usr/share/man/man{section}/{name}");
        assert_eq!(debian[&place], format!("man/{name}"));
    }
    for place in [
        "usr/bin/udpctl",
        "usr/bin/udpagent",
        "usr/lib/systemd/system/udpagent.service",
        "usr/lib/systemd/system/udpagent.socket",
        "usr/lib/sysusers.d/udpagent.conf",
    ] {
        assert!(debian.contains_key(place), "{place}");
    }
}

#[test]
fn the_scripts_of_the_packages_are_valid_and_an_upgrade_only_reloads() {
    let rpm = metadata("generate-rpm");
    let mut scripts: Vec<String> = [
        "post_install_script",
        "pre_uninstall_script",
        "post_uninstall_script",
    ]
    .map(|key| rpm[key].as_str().unwrap().to_owned())
    .into();
    let debian = metadata("deb")["maintainer-scripts"]
        .as_str()
        .unwrap()
        .to_owned();
    scripts.extend(["postinst", "prerm", "postrm"].map(|name| format!("{debian}/{name}")));
    scripts.extend([".ci/package-test".to_owned()]);
    for script in &scripts {
        let path = root().join(script);
        let output = Command::new("sh").arg("-n").arg(&path).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{script}: {stderr}");
        for line in text(script).lines().map(str::trim) {
            let restarts = ["systemctl restart", "try-restart", "systemctl stop"];
            assert!(
                !restarts.iter().any(|words| line.contains(words)),
                "{script}: {line}"
            );
        }
    }
    // The path that .ci/package replaces.
    let unit = text("examples/systemd/udpagent.service");
    assert_eq!(unit.matches("/usr/local/bin/udpagent").count(), 1);
}
