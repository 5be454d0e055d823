"""The worker as most people write it: what `make bench` compares filmlab with, and no part of it.

FastAPI, a background task for each job, a chain of programs with temporary files between them. It
asks the provider, downloads, probes, marks and encodes, probes again, makes a poster, and moves all
into a folder. It holds nothing against a restart: jobs are in a dictionary.

  PROVIDER=http://127.0.0.1:8090 RESULTS=/tmp/out LOGO=logo.png uvicorn worker:app --port 0
"""

import asyncio
import json
import os
import shutil
import tempfile
import uuid

import httpx
from fastapi import BackgroundTasks, FastAPI, HTTPException, Request

PROVIDER = os.environ["PROVIDER"]
RESULTS = os.environ["RESULTS"]
LOGO = os.environ["LOGO"]
KEY = {"Authorization": "Bearer sandbox"}
MODEL = "wavespeed-ai/wan-2.2/animate"
# As many as filmlab lets in on this machine, so that the comparison is of the work, not of the
# queue. Most leave it out.
AT_ONCE = asyncio.Semaphore(int(os.environ.get("AT_ONCE", "2")))

app = FastAPI()
jobs: dict[str, dict] = {}


async def run(*command: str) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(err.decode(errors="replace")[-500:])
    return out


async def probe(path: str) -> dict:
    out = await run("ffprobe", "-v", "error", "-of", "json", "-show_format", "-show_streams", path)
    return json.loads(out)


async def generate(client: httpx.AsyncClient, video: str, image: str) -> str:
    addresses = {}
    for name, path in (("video", video), ("image", image)):
        with open(path, "rb") as file:
            answer = await client.post("/api/v3/media/upload/binary", files={"file": file})
        answer.raise_for_status()
        addresses[name] = answer.json()["data"]["download_url"]
    body = {"mode": "replace", "resolution": "720p", "seed": -1, **addresses}
    answer = await client.post(f"/api/v3/{MODEL}", json=body)
    answer.raise_for_status()
    name = answer.json()["data"]["id"]
    while True:
        answer = await client.get(f"/api/v3/predictions/{name}/result")
        data = answer.json()["data"]
        if data["status"] == "completed":
            return data["outputs"][0]
        if data["status"] == "failed":
            raise RuntimeError(data.get("error"))
        await asyncio.sleep(0.1)


async def process(job: str, video: str, image: str) -> None:
    try:
        async with AT_ONCE, httpx.AsyncClient(base_url=PROVIDER, headers=KEY, timeout=120) as client:
            jobs[job]["status"] = "processing"
            output = await generate(client, video, image)
            with tempfile.TemporaryDirectory() as folder:
                made, marked = f"{folder}/made.mp4", f"{folder}/marked.mp4"
                poster = f"{folder}/poster.jpg"
                async with client.stream("GET", output) as answer:
                    with open(made, "wb") as file:
                        async for chunk in answer.aiter_bytes():
                            file.write(chunk)
                await probe(made)
                await run(
                    "ffmpeg", "-v", "error", "-y", "-i", made, "-i", LOGO, "-filter_complex",
                    "[1]scale=144:-2[mark];[0][mark]overlay=W-w-22:H-h-22",
                    "-c:v", "libx264", "-preset", os.environ.get("PRESET", "medium"), "-crf", "21",
                    "-pix_fmt", "yuv420p", "-c:a", "aac", "-movflags", "+faststart", marked,
                )
                found = await probe(marked)
                await run("ffmpeg", "-v", "error", "-y", "-ss", "0.6", "-i", marked, "-frames:v", "1",
                          poster)
                target = os.path.join(RESULTS, job)
                os.makedirs(target)
                shutil.move(marked, f"{target}/video.mp4")
                shutil.move(poster, f"{target}/poster.jpg")
                with open(f"{target}/metadata.json", "w", encoding="utf-8") as file:
                    json.dump(found, file)
        jobs[job]["status"] = "completed"
    except Exception as error:  # pylint: disable=broad-except
        jobs[job] = {"status": "failed", "error": str(error)}


@app.get("/readyz")
async def ready() -> dict:
    return {"status": "ok"}


@app.post("/jobs", status_code=201)
async def create(request: Request, tasks: BackgroundTasks) -> dict:
    body = await request.json()
    job = uuid.uuid4().hex
    jobs[job] = {"status": "queued"}
    tasks.add_task(process, job, body["video"], body["image"])
    return {"id": job}


@app.get("/jobs/{job}")
async def show(job: str) -> dict:
    if job not in jobs:
        raise HTTPException(404)
    return jobs[job]
