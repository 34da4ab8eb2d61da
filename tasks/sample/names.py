"""Invented words: names and compounds from a few shared pieces, a separate set per cluster.

What a model has not seen is then a new combination of familiar pieces: no name, value, relation or
kind of one cluster occurs in another, and no name of one split in another, while a sub-word
tokenizer trained on some clusters can spell those of all.
"""

from __future__ import annotations

from functools import cache

SPLITS = ("train", "validation", "test")

# A name is one beginning and one ending: Bramor, Keldina, Tovith.
BEGINNINGS = tuple(
    "bal bel bor bram cad cor dal del dor fal fen gal gar hal hel jar jor kal kel kor lan lor mal "
    "mar mel mor nal nor pel por ral ren ros sal sel sor tal tel tor tov val ver vor wil yor zan "
    "zel zor".split()
)
ENDINGS = tuple(
    "ac adin ago aly amor ana aric asu avi edo egin elu emi eron eska etta eva idan igo ika ilor "
    "ima ina iron isk ith iva oba odin ofa oka olin omar onu orim osta ova ulan umi una uric usk "
    "uth uvo ybel yda ymar yth adra eman igar olda umen agol eril idos onim ural ysta enko".split()
)

# A compound is one of these and an ending of its class: moonberry, ironkin, saltkeeper.
FIRSTS = tuple(
    "amber ash bear bell bone cloud copper dawn elm fire frost gold hawk iron moon oak rain river "
    "rose salt silk snow star stone storm sun thorn wind wolf wood".split()
)
LASTS = {
    "states": tuple("bright bold calm dark deep still wild worn".split()),
    "goods": tuple("berry bread cloth fruit horn leaf root seed".split()),
    "relations": tuple("friend guard guide kin mate ward".split()),
    "kinds": tuple("fold gate hall keeper singer smith".split()),
}
COMPOUNDS = {"states": 8, "goods": 8, "relations": 6, "kinds": 3}  # per cluster

_TENTHS = {"train": range(6), "validation": range(6, 8), "test": range(8, 10)}


@cache
def pool(cluster: int, clusters: int, split: str) -> tuple[str, ...]:
    """All names of cluster number ``cluster`` (of ``clusters``) for one split.

    Every name belongs to exactly one cluster and one split, and every cluster has names of nearly
    every beginning and ending: pairs are dealt out along the diagonals of their table.
    """
    wanted = _TENTHS[split]
    found = []
    for first, beginning in enumerate(BEGINNINGS):
        for last, ending in enumerate(ENDINGS):
            mine = (first + last) % clusters == cluster
            if mine and (3 * first + last // clusters) % 10 in wanted:
                found.append((beginning + ending).capitalize())
    return tuple(found)


@cache
def compounds(kind: str, cluster: int) -> tuple[str, ...]:
    """The words of class ``kind`` that belong to cluster number ``cluster``: no two of them begin
    alike, and no other cluster has one of them."""
    lasts, count = LASTS[kind], COMPOUNDS[kind]
    words = []
    for i in range(count):
        place = cluster * count + i
        last = (place + place // len(FIRSTS)) % len(lasts)
        words.append(FIRSTS[place % len(FIRSTS)] + lasts[last])
    return tuple(words)
