//! Says what to do when the web UI, which is embedded in the binary, has not been built yet.

fn main() {
    println!("cargo::rerun-if-changed=web/dist");
    if !std::path::Path::new("web/dist/index.html").exists() {
        println!("cargo::error=the web UI is not built: run (cd gateway/web && npm ci && npm run build)");
    }
}
