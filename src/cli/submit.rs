use clap::Args;
#[derive(Debug, Args)]
pub struct SubmitArgs {}
pub async fn run(_a: SubmitArgs) -> Result<(), crate::job::Failure> {
    Ok(())
}
