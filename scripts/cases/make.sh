#!/bin/bash
# Makes every input of this folder anew from FFmpeg's own test pictures (nothing of a third party).
# Needs ffmpeg (5.1 was used; libx264, libvpx, libopus, libx265, libmp3lame) and python3.
#   ./make.sh [FOLDER]     default: this folder. SEED=n (default 1) and T=2 (seconds) make other files of the same kinds.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); out=${1:-$here}; mkdir -p "$out"; cd "$out"
export SEED=${SEED:-1} T=${T:-2} PYTHONPATH=$here TMPD=$(mktemp -d); trap 'rm -rf "$TMPD"' EXIT
F() { ffmpeg -nostdin -v error -y "$@"; }
B=$TMPD/b.mp4; hz=$((330+110*SEED)); SRC=testsrc2; [ $SEED = 1 ] || SRC=testsrc
F -f lavfi -i $SRC=s=320x180:r=25:d=$T -f lavfi -i sine=$hz:d=$T:r=48000 -c:v libx264 -preset veryfast -crf 28 -pix_fmt yuv420p -c:a aac -b:a 64k $B
export B
# --- 4 AVI counts: H.264 with B-frames copied to AVI (two fields a frame counted); dropped frames (empty chunks)
F -i $B -c copy avi-h264-two-per-frame.avi
F -i $B -c:v mpeg4 -q:v 8 -vf "select='not(between(mod(n,10),3,4))'" -fps_mode passthrough -c:a libmp3lame -b:a 64k avi-dropped-frames.avi
# --- 5 interlaced
F -f lavfi -i testsrc2=s=360x288:r=50:d=1 -f lavfi -i sine=$hz:d=1 -vf tinterlace=interleave_top,setsar=16/11 -c:v libx264 -crf 24 -flags +ilme+ildct -x264-params tff=1 -pix_fmt yuv420p -c:a aac interlaced-tff.mp4
# --- 3 subtitle later than the last picture
printf '1\n00:00:00,500 --> 00:00:01,500\nhi\n\n2\n00:01:30,000 --> 00:01:35,000\nlater\n' > $TMPD/s.srt
F -i $B -i $TMPD/s.srt -map 0 -map 1 -c copy -c:s srt mkv-late-subtitle.mkv
# --- 2 Matroska that starts past zero (recorders, -copyts): Duration is the last time, not the length
F -i $B -c copy -output_ts_offset 10 mkv-start-10s.mkv
F -i $B -c copy -output_ts_offset 2000 mkv-start-2000s.mkv
F -i $B -c copy -movflags +frag_keyframe+empty_moov+default_base_moof $TMPD/f.mp4; F -i $B -an -c copy -movflags +frag_keyframe+empty_moov+default_base_moof $TMPD/fv.mp4
python3 "$here/tfdt.py" $TMPD/f.mp4 mp4-fragments-start-10s.mp4 10        # init + segments of a live stream
python3 "$here/tfdt.py" $TMPD/f.mp4 mp4-fragments-start-4000s.mp4 4000
python3 "$here/tfdt.py" $TMPD/fv.mp4 mp4-fragments-video-start-10s.mp4 10
# --- 7 finer time base than a microsecond and a first frame past zero (Smooth Streaming, Media Foundation: 10 MHz)
F -f lavfi -i $SRC=s=320x180:r=24000/1001:d=$T -c:v libx264 -preset veryfast -crf 28 -bf 2 -pix_fmt yuv420p -video_track_timescale 10000000 -use_editlist 0 mp4-10mhz-2398.mp4
# --- 10 first audio track not known, the second is
F -i $B -map 0:v -map 0:a -map 0:a -c:v copy -c:a:0 dca -strict -2 -b:a:0 384k -ac 2 -c:a:1 ac3 -b:a:1 96k mkv-dts-first-ac3-second.mkv
# --- 9 transport stream, sound of a kind the deployed build does not know
F -i $B -c:v copy -c:a dca -strict -2 -b:a 384k -ac 2 ts-dts.ts
# --- 11 what older devices write
F -i $B -c:v copy -c:a mp2 -b:a 96k ts-mp2-sound.ts
F -i $B -c:v mpeg2video -q:v 8 -c:a mp2 -b:a 96k ts-mpeg2.ts
F -i $B -c:v mpeg2video -q:v 8 -c:a mp2 -b:a 96k ps-mpeg2.mpg
F -i $B -c copy flv-h264-aac.flv
F -i $B -c:v copy -c:a alac mov-alac.mov
F -i $B -c:v mjpeg -q:v 12 -c:a adpcm_ima_wav -ar 22050 avi-mjpeg-adpcm.avi
F -t 0.8 -i $B -c:v copy -c:a pcm_bluray -ar 48000 -ac 2 m2ts-lpcm.m2ts
F -i $B -vf scale=176:144 -r 15 -c:v h263 -q:v 8 -c:a aac -ar 8000 -ac 1 -b:a 12k 3gp-h263.3gp
F -i $B -c:v msmpeg4 -q:v 8 -c:a libmp3lame -b:a 64k avi-divx3.avi
F -i $B -c:v wmv2 -q:v 8 -c:a wmav2 -b:a 64k wmv2.wmv
# --- 15 surround at full level
F -i $B -f lavfi -i "aevalsrc=$(for c in 1 1 1 0 1 1; do printf '0.85*%s*sin(2*PI*220*t)|' $c; done | sed 's/|$//'):s=48000:d=$T:c=5.1" -map 0:v -map 1:a -c:v copy -c:a aac -b:a 256k loud-5.1.mp4
F -i $B -f lavfi -i "aevalsrc=$(for c in 1 1 1 1; do printf '0.85*sin(2*PI*220*t)|'; done | sed 's/|$//'):s=24000:d=1:c=4.0" -map 0:v -map 1:a -c:v copy -c:a pcm_s16le loud-4ch-camera.mov
# --- 14 cut or unfinished
head -c $(($(stat -c %s $B)/2)) $B > cut-before-index.mp4
F -i $B -c copy -movflags +frag_keyframe+empty_moov+default_base_moof $TMPD/f.mp4
python3 - <<'P'
import os; d=open(os.environ['TMPD']+'/f.mp4','rb').read(); open('init-only.mp4','wb').write(d[:d.find(b'moof')-4])
P
# --- 13 live recording that grows after 0.4 s (Ant-Media-Server 4577): two parameter sets in one stream
F -f lavfi -i $SRC=s=320x180:r=25:d=0.4 -c:v libx264 -pix_fmt yuv420p -f mpegts $TMPD/r1.ts
F -f lavfi -i $SRC=s=1280x720:r=25:d=$T -c:v libx264 -crf 32 -pix_fmt yuv420p -f mpegts -output_ts_offset 0.4 $TMPD/r2.ts
cat $TMPD/r1.ts $TMPD/r2.ts > ts-h264-ramp.ts
# --- 12 GIF of 10 ms
F -f lavfi -i $SRC=s=96x54:r=10:d=1.2 $TMPD/g.gif
F -i $B -c copy $TMPD/b.ts
python3 "$here/edits.py"
python3 "$here/more.py"
