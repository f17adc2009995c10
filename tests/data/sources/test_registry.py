"""Every source, from a small tree laid out as its publisher lays it out."""

import dataclasses
import os
from collections import Counter
from pathlib import Path

import pytest
import yaml
from raw import (
    encoded,
    nvidia_record,
    write_csv,
    write_files,
    write_lmdb,
    write_parquet,
    write_tar,
    write_tfrecord,
    write_zip,
)

from fakeface.configuration_fakeface import LABELS as CONFIGURED
from fakeface.data.sources.layout import Source, inspect, pictures_source, references
from fakeface.data.sources.reference import LayoutError
from fakeface.data.sources.registry import SOURCES
from fakeface.results import LABELS


def contents(source: Source, root: Path) -> Counter[tuple[str, str]]:
    """Pictures by label and generator, in the variant that is there."""
    variant = inspect(source, root).variant
    assert variant is not None
    fits = [source.match(variant, reference) for reference in references(source, root, [])]
    return Counter((LABELS[fit[1]], fit[2]) for fit in fits if fit)


def write_members(root: Path, names: list[str]) -> dict[str, bytes]:
    return {name: encoded(i) for i, name in enumerate(names)}


def ffhq(root):
    write_files(root, ["images1024x1024/00000/00000.png", "images1024x1024/69000/69999.png"])
    write_files(root, ["thumbnails128x128/00000/00000.png"])


def ffhq_zip(root):
    write_zip(root / "images1024x1024.zip", write_members(root, ["images1024x1024/00000/00000.png"]))


def ffhq_records(root):
    write_tfrecord(root / "ffhq/ffhq-r10.tfrecords", [nvidia_record(0), nvidia_record(1)])
    write_tfrecord(root / "ffhq/ffhq-r09.tfrecords", [nvidia_record(0, 16), nvidia_record(1, 16)])


def ffhq_lmdb(root):
    pytest.importorskip("lmdb", reason="needs the extra `publishers`")
    write_lmdb(root / "ffhq.lmdb", {"1024-00000": encoded(0), "256-00000": encoded(0, side=16)})


def celeba_hq(root):
    write_files(root, ["CelebAMask-HQ/CelebA-HQ-img/0.jpg", "CelebAMask-HQ/CelebA-HQ-img/29999.jpg"])
    write_files(root, ["CelebAMask-HQ/CelebAMask-HQ-mask-anno/0/00000_hair.png"])


def gfw_real(root):
    write_files(root, ["real_faces/00000.jpeg", "real_faces/00001.jpeg", "lfw_resize/00000.jpeg"])


def generated_photos(root):
    write_files(root, ["0000001.jpg", "batch/0000002.jpg"])


def stylegan(root):
    write_files(root, ["100k-generated-images/ffhq-1024x1024/00000.png", "100k-faces/generated/1.jpg"])
    write_files(root, ["100k-generated-images/cats-256x256/00000.png"])


def stylegan2(root):
    write_files(root, ["100k-generated-images/ffhq-1024x1024/stylegan2-config-f-psi-0.5/000000/000000.png"])
    write_files(root, ["thispersondoesnotexist/1.jpg", "100k-generated-images/cat-256x256/psi-0.5/0.png"])


def gfw_generated(root):
    write_files(root, ["faces_generated_midjourney/00000.jpeg", "faces_generated_dalle2/00000.jpeg"])
    write_files(root, ["faces_generated_stable_diffusion/00000.jpeg", "generated_data/faces_generated/1.jpeg"])


def lfw(root):
    write_tar(root / "lfw.tgz", write_members(root, ["lfw/Ann_Lee/Ann_Lee_0001.jpg", "lfw/Ann_Lee/Ann_Lee_0002.jpg"]))


def kaggle(root):
    inner = "real_vs_fake/real-vs-fake"
    write_files(
        root, [f"{inner}/{part}/{kind}/1.jpg" for part in ("train", "valid", "test") for kind in ("real", "fake")]
    )
    write_csv(root / "train.csv", [{"original_path": "x", "id": "1", "label": "1", "path": "train/real/1.jpg"}])


def deepfakeface(root):
    for name in ("wiki", "inpainting", "insight", "text2img"):
        write_zip(root / f"{name}.zip", write_members(root, [f"{name}/00/1_1980-01-01_2010.jpg"]))


def sfhq(root):
    write_files(root, ["images/SFHQ_1.jpg", "images/SFHQ_2.jpg", "figures/sample.jpg"])
    names = {"SFHQ_1.jpg": "FLUX1_dev", "SFHQ_2.jpg": "SDXL"}
    rows = [{"image_filename": name, "model_used": model, "text_prompt": "a, face"} for name, model in names.items()]
    write_csv(root / "SFHQ_T2I_dataset.csv", rows)


def community_forensics(root):
    """As its card shows a row, in short."""
    rows = [
        {
            "image_data": encoded(0),
            "label": 1,
            "model_name": "stabilityai/stable-diffusion-2",
            "architecture": "LatDiff",
        },
        {"image_data": encoded(1), "label": 0, "model_name": "", "architecture": "real"},
        {"image_data": encoded(2), "label": 1, "model_name": "StyleGAN-XL", "architecture": "GAN"},
    ]
    write_parquet(root / "data/HFCF_small_0.parquet", [{**row, "format": "PNG", "split": "train"} for row in rows])


def openfake(root):
    labels = {"flux.1-dev": "fake", "gpt-image-1": "fake", "real": "real"}
    rows = [
        {"image": {"bytes": encoded(i), "path": None}, "prompt": "a, b", "label": label, "model": model, "type": "base"}
        for i, (model, label) in enumerate(labels.items())
    ]
    write_parquet(root / "core/test-00000-of-00090.parquet", rows)
    write_parquet(root / "reddit/test-00000-of-00005.parquet", rows)


def df40(root):
    write_files(
        root, [f"{method}/ff/001/000.png" for method in ("VQGAN", "StyleGAN2", "StyleGAN3", "StyleGANXL", "ddim")]
    )
    write_files(root, [f"{method}/cdf/Fake_from_Celeb-real/id10_0001/013158.png" for method in ("sd2.1", "DiT", "SiT")])
    write_files(root, ["RDDM/ff/001/000.png", "DF40_train/pixart/001/000.png", "blendface/ff/frames/001/000.png"])
    write_zip(root / "MidJourney.zip", write_members(root, ["MidJourney/fake/0.png", "MidJourney/real/0.png"]))
    write_files(root, ["whichfaceisreal/whichfaceisreal/fake/0.jpg", "whichfaceisreal/whichfaceisreal/real/0.jpg"])


def faker(root):
    names = [f"{sex}/{side}/{i}.jpg" for sex in ("male", "female") for side in (32, 512) for i in range(2)]
    write_zip(root / "main.zip", write_members(root, [f"assets-person-portrait-main/{name}" for name in names]))


TREES = [
    ("ffhq", ffhq, {("real", "none"): 2}),
    ("ffhq", ffhq_zip, {("real", "none"): 1}),
    ("ffhq", ffhq_records, {("real", "none"): 2}),
    ("ffhq", ffhq_lmdb, {("real", "none"): 1}),
    ("celeba-hq", celeba_hq, {("real", "none"): 2}),
    ("gfw-real", gfw_real, {("real", "none"): 3}),
    ("generated-photos", generated_photos, {("generated", "generated.photos"): 2}),
    ("stylegan", stylegan, {("generated", "stylegan"): 2}),
    ("stylegan2", stylegan2, {("generated", "stylegan2"): 2}),
    (
        "gfw-generated",
        gfw_generated,
        {
            ("generated", "midjourney"): 1,
            ("generated", "dall-e-2"): 1,
            ("generated", "stable-diffusion-1.4"): 2,
        },
    ),
    ("lfw", lfw, {("real", "none"): 2}),
    ("140k-faces", kaggle, {("real", "none"): 3, ("generated", "stylegan"): 3}),
    (
        "deepfakeface",
        deepfakeface,
        {
            ("real", "none"): 1,
            ("generated", "stable-diffusion-inpainting"): 1,
            ("generated", "insightface"): 1,
            ("generated", "stable-diffusion-1.5"): 1,
        },
    ),
    ("sfhq-t2i", sfhq, {("generated", "flux.1-dev"): 1, ("generated", "sdxl"): 1}),
    (
        "community-forensics-small",
        community_forensics,
        {("generated", "stabilityai/stable-diffusion-2"): 1, ("generated", "stylegan-xl"): 1, ("real", "none"): 1},
    ),
    (
        "openfake",
        openfake,
        {("generated", "flux.1-dev"): 1, ("generated", "gpt-image-1"): 1, ("real", "none"): 1},
    ),
    (
        "df40-efs",
        df40,
        {
            ("real", "none"): 2,
            **{
                ("generated", name): 1
                for name in (
                    *("vqgan", "stylegan2", "stylegan3", "stylegan-xl", "stable-diffusion-2.1", "ddpm", "rddm"),
                    *("pixart-alpha", "dit-xl-2", "sit-xl-2", "midjourney-6", "whichfaceisreal"),
                )
            },
        },
    ),
    ("faker-portraits", faker, {("generated", "sd3"): 4}),
]


@pytest.mark.parametrize(("name", "write", "expected"), TREES)
def test_a_publishers_tree(tmp_path, name, write, expected):
    write(tmp_path)
    assert contents(SOURCES[name], tmp_path) == expected


def test_every_source_has_a_tree():
    assert {name for name, _, _ in TREES} == set(SOURCES)


def test_a_source_of_the_hub_is_where_its_homepage_says():
    homes = {source.homepage: source.repo for source in SOURCES.values() if "huggingface.co" in source.homepage}
    assert homes == {f"https://huggingface.co/datasets/{repo}": repo for repo in homes.values()}
    assert sum(bool(source.repo) for source in SOURCES.values()) == len(homes) == 3


def test_counts_that_are_short_and_pictures_left_out(tmp_path):
    celeba_hq(tmp_path)
    found = inspect(SOURCES["celeba-hq"], tmp_path)
    assert found.others == 1
    assert found.problems == [
        f"{tmp_path}: 2 of 30,000 pictures of CelebAMask-HQ; 29,998 are missing; finish the download"
    ]


def test_counts_that_are_too_high(tmp_path):
    write_files(tmp_path, ["images1024x1024/0.png", "images1024x1024/1.png"])
    rule = SOURCES["ffhq"].variants[0][0]._replace(count=1)
    found = inspect(dataclasses.replace(SOURCES["ffhq"], variants=((rule,),)), tmp_path)
    assert found.problems == [f"{tmp_path}: 2 of 1 pictures at 1024 px; 1 too many; is it another set?"]


def test_missing_archives_are_named(tmp_path):
    deepfakeface(tmp_path)
    (tmp_path / "insight.zip").unlink()
    problems = inspect(SOURCES["deepfakeface"], tmp_path).problems
    assert f"{tmp_path}: the archive insight.zip is missing; download it too" in problems
    assert f"{tmp_path}: 0 of 30,000 of insight; 30,000 are missing; finish the download" in problems


def test_a_missing_list_is_named(tmp_path):
    write_files(tmp_path, ["images/SFHQ_1.jpg"])
    words = "no SFHQ_T2I_dataset.csv, which says what the pictures are; download it too"
    assert inspect(SOURCES["sfhq-t2i"], tmp_path).problems[0] == f"{tmp_path}: {words}"


def test_a_name_that_is_not_utf8_is_a_problem_alone(tmp_path):
    """Such a name of a zip with a list in it once ended a build: no table can hold it."""
    name = os.fsdecode(b"caf\xe9")
    write_files(tmp_path / "walked", [f"real/{name}.jpg", "real/b.jpg"])
    members = {"list.csv": b"path,label\na.jpg,real\n", "a.jpg": encoded(1)}
    write_zip(tmp_path / "listed" / f"{name}.zip", members)
    own = pictures_source("mine", None), pictures_source("mine", None, "", "list.csv")
    for source, root, total in zip(own, ("walked", "listed"), (1, 0), strict=True):
        found = inspect(source, tmp_path / root)
        assert found.total == total
        assert "is a name that is not UTF-8; rename it" in found.problems[0]


def test_a_folder_of_something_else(tmp_path):
    write_files(tmp_path, ["holiday/beach.jpg"])
    (problem,) = inspect(SOURCES["ffhq"], tmp_path).problems
    words = "1 pictures, but none laid out as Flickr-Faces-HQ is; get it from https://github.com/NVlabs/ffhq-dataset"
    assert problem == f"{tmp_path}: {words}"
    (problem,) = inspect(SOURCES["ffhq"], tmp_path / "nothing").problems
    assert problem.startswith(f"{tmp_path}/nothing: no such folder; get it from https://")


def test_own_folders_tell_label_and_generator(tmp_path):
    write_files(tmp_path, ["real/phone/1.jpg", "generated/FLUX/1.jpg", "generated/2.jpg"])
    own = pictures_source("mine", None, "sdxl")
    assert contents(own, tmp_path) == {("real", "none"): 1, ("generated", "flux"): 1, ("generated", "sdxl"): 1}


def test_an_own_list_must_tell_the_label(tmp_path):
    write_files(tmp_path, ["1.jpg", "2.jpg"])
    write_csv(tmp_path / "list.csv", [{"path": "1.jpg", "generator": "sdxl"}])
    own = pictures_source("mine", None, "", "list.csv")
    (problem,) = inspect(own, tmp_path).problems
    assert problem == f"{tmp_path}: 1.jpg: nothing tells whether it is real; give the source a label"
    with pytest.raises(LayoutError):
        own.match(0, next(iter(references(own, tmp_path, []))))


def test_the_seeds_recipe_adds_up(repo):
    recipe = yaml.safe_load((repo / "configs/data/seed.yaml").read_text())
    sums: Counter[int] = Counter()
    for entry in recipe["sources"]:
        sums[SOURCES[entry["source"]].variants[0][0].label] += entry["cap"]
    assert sums == {0: 103_463, 1: 63_646}


def test_the_labels_are_the_models():
    assert LABELS == CONFIGURED
