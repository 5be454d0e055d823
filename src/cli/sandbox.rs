use clap::Args;
#[derive(Debug, Args)]
pub struct SandboxArgs {}
pub async fn run(_a: SandboxArgs) -> Result<(), super::Exit> {
    Ok(())
}
