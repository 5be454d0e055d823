#!/usr/bin/env bash
# usage: scripts/fonts.sh
# Makes src/media/text/noto anew from Debian's fonts-noto-core and fonts-noto-cjk, with pyftsubset of
# fonttools. Latin, Greek and Cyrillic are whole; of other scripts there is what the label's own words
# need (src/media/text/label.rs), with digits and signs from the first font.
set -euo pipefail
cd "$(dirname "$0")/.."
out=src/media/text/noto
noto=${FONTS_NOTO:-/usr/share/fonts/truetype/noto}
cjk=${FONTS_NOTO_CJK:-/usr/share/fonts/opentype/noto}
mkdir -p "$out"

subset() { # file, name, face, characters (a flag of pyftsubset)
  pyftsubset "$1" --font-number="$3" "$4" --output-file="$out/$2" --layout-features='*' \
    --no-hinting --desubroutinize --name-IDs=0,1,2,3,4,5,6,13,14 --drop-tables+=meta
}

# Signs that stand between words in any script, arrows and a few of the symbols that people sign with.
common='U+0020-007E,U+00A0-024F,U+0259,U+02B0-02DF,U+0300-036F,U+0370-03FF,U+0400-052F,U+1E00-1EFF'
common+=',U+1F00-1FFF,U+2000-206F,U+2070-209C,U+20A0-20C0,U+2100-214F,U+2190-2193,U+2212,U+25CC,U+FB00-FB06'
subset "$noto/NotoSans-Regular.ttf" NotoSans.ttf 0 "--unicodes=$common"
subset "$noto/NotoSansArabic-Regular.ttf" NotoSansArabic.ttf 0 '--text=مولد بالذكاء الاصطناعي'
subset "$noto/NotoSansDevanagari-Regular.ttf" NotoSansDevanagari.ttf 0 '--text=एआई द्वारा निर्मित'
# One file of all five faces: Japanese, Korean, simplified and traditional Chinese, and Hong Kong's.
subset "$cjk/NotoSansCJK-Regular.ttc" NotoSansJP.otf 0 '--text=生成'
subset "$cjk/NotoSansCJK-Regular.ttc" NotoSansKR.otf 1 '--text=생성'
subset "$cjk/NotoSansCJK-Regular.ttc" NotoSansSC.otf 2 '--text=生成'
ls -l "$out"
