use clap::Args;
#[derive(Debug, Args)]
pub struct DemoArgs {}
pub async fn run(_a: DemoArgs) -> Result<(), super::Exit> {
    Ok(())
}
