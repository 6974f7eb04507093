#[allow(unused_variables)]
async fn on_event(app: App) -> Result<(), AppError> {
    Ok(())
}
::core::compile_error! {
    "unknown argument `lgo`, did you mean `log`?"
}
::core::compile_error! {
    "`event` is given twice: keep one"
}
::core::compile_error! {
    "a scope is 1 to 64 characters of `a-z`, `0-9`, `_` and `-`"
}
