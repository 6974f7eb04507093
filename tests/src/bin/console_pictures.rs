//! Takes the pictures of the page for `docs/operations.md`, from the example `operate`:
//!
//! ```text
//! cargo run --example operate &
//! cargo run -p ferro-idem-tests --bin console_pictures -- http://127.0.0.1:4243/events docs/operations
//! ```

use std::env;
use std::fs;
use std::path::Path;

use ferro_idem_tests::browser::Browser;

/// Name, path, width, height, colour scheme.
const PICTURES: [(&str, &str, u32, u32, &str); 3] = [
    ("overview", "", 1_100, 860, "light"),
    ("inbox", "/inbox?state=parked", 1_100, 620, "light"),
    ("narrow_dark", "", 390, 844, "dark"),
];

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [url, folder] = arguments.as_slice() else { panic!("usage: console_pictures URL FOLDER") };
    let mut browser = Browser::start();
    for (name, path, width, height, scheme) in PICTURES {
        let mut tab = browser.tab(width, height);
        tab.use_scheme(scheme);
        tab.open(&format!("{url}{path}"));
        let file = Path::new(folder).join(format!("{name}.png"));
        let picture = tab.picture();
        println!("{}: {} bytes", file.display(), picture.len());
        fs::write(file, picture).expect("the folder exists");
    }
}
