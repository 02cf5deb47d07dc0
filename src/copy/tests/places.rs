//! Destinations: a directory that is there, a new name, and the content of a directory.

use super::*;

/// Copies and returns the reports.
fn copy(area: &Area, from: &[&str], to: &str) -> Vec<String> {
    let mut copy = Copy::new(area.sender(from), area.receiver(to, false));
    copy.run();
    copy.reports()
}

#[test]
fn an_item_goes_into_a_directory_or_gets_a_new_name() {
    let area = Area::new();
    fs::create_dir(area.at("from/d")).unwrap();
    area.write("from/d/f", "f");
    let none: [&str; 0] = [];
    assert_eq!(copy(&area, &["from/d/f"], "to"), none);
    assert_eq!(copy(&area, &["from/d/f"], "to/new"), none);
    assert_eq!(copy(&area, &["from/d/f"], "to/new"), none);
    assert_eq!(copy(&area, &["from/d"], "to/tree/"), none);
    assert_eq!(copy(&area, &["from/d"], "to/tree"), none);
    assert_eq!(copy(&area, &["from/d/."], "to/flat"), none);
    assert_eq!(copy(&area, &["from/d/."], "to"), none);
    assert_eq!(area.names("to"), ["f", "flat", "new", "tree"]);
    assert_eq!(area.names("to/tree"), ["d", "f"]);
    assert_eq!(area.names("to/flat"), ["f"]);
    assert_eq!(area.read("to/tree/d/f"), b"f");
    assert_eq!(area.read("to/new"), b"f");
}

#[test]
fn a_file_needs_a_directory_where_the_path_says_so() {
    let area = Area::new();
    area.write("from/f", "f");
    area.write("from/g", "g");
    let both = |name: &str, words: &str| {
        [
            format!("There {name}: {words}"),
            format!("Here {name}: {words}"),
        ]
    };
    assert_eq!(
        copy(&area, &["from/f"], "to/none/"),
        both("none", "no such directory; make it first")
    );
    area.write("to/file", "kept");
    let words = "Not a directory";
    assert_eq!(copy(&area, &["from/f"], "to/file/"), both("file", words));
    assert_eq!(area.read("to/file"), b"kept");
    // Without a caller that asks for a directory, the second would replace the first.
    assert_eq!(
        copy(&area, &["from/f", "from/g"], "to/one"),
        both("one", words)
    );
    assert_eq!(area.read("to/one"), b"f");
    let missing = |path: &str| OpenError {
        path: area.at(path),
        fault: Fault::NoDirectory,
    };
    assert_eq!(
        area.try_receiver("to/no/where", false).map(drop),
        Err(missing("to/no"))
    );
    let destination = Destination {
        scope: &Scope::Everywhere,
        path: &area.at("to/two"),
        is_directory: true,
    };
    assert_eq!(
        Receiver::open(&destination, false).map(drop),
        Err(missing("to/two"))
    );
}

#[test]
fn a_link_to_a_directory_is_a_destination_and_one_to_a_file_is_replaced() {
    let area = Area::new();
    area.write("from/f", "new");
    symlink("../sibling", area.at("to/there")).unwrap();
    symlink("../sibling/kept", area.at("to/f")).unwrap();
    let none: [&str; 0] = [];
    assert_eq!(copy(&area, &["from/f"], "to/f"), none);
    area.assert_untouched();
    assert_eq!(area.read("to/f"), b"new");
    assert_eq!(copy(&area, &["from/f"], "to/there"), none);
    assert_eq!(area.names("sibling"), ["f", "kept"]);
}

#[test]
fn a_scope_bounds_both_sides() {
    let area = Area::new();
    area.write("from/f", "f");
    area.write("sibling/kept", "kept");
    let scope = Scope::Beneath(vec![area.at("from")]);
    let sources = Sources {
        paths: ["from/f", "sibling/kept", "from/../sibling/kept"]
            .map(|path| area.at(path))
            .into(),
        scope: scope.clone(),
        recursive: true,
    };
    let sender = Sender::new(sources, Rc::new(Library::new(1)));
    let mut copy = Copy::new(sender, area.receiver("to", false));
    copy.run();
    assert_eq!(area.names("to"), ["f"]);
    let words = "kept: this key may not copy there";
    let (here, there) = (format!("Here {words}"), format!("There {words}"));
    assert_eq!(copy.reports(), [&*here, &*here, &*there, &*there]);
    for path in ["to", "to/new", "sibling", "from/../to", "."] {
        let destination = Destination {
            scope: &scope,
            path: &area.at(path),
            is_directory: false,
        };
        assert_eq!(
            Receiver::open(&destination, false)
                .map_err(|error| error.fault)
                .map(drop),
            Err(Fault::Policy),
            "{path}"
        );
    }
}
