//! Draws the plots in `docs/benchmarks` again from their figures, after a change to how they look.
//!
//! `cargo bench -p ferro-idem-tests --bench plots`

mod plot;

fn main() -> std::io::Result<()> {
    println!("drew {}", plot::redraw()?.join(", "));
    Ok(())
}
