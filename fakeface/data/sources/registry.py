"""The sources of face pictures that fakeface knows; `fakeface data sources ROOT` prints what of them is there.

Layouts were looked up in November 2026 where that was possible; comments at the entries say where, and where it was
not. Of the licences those of FFHQ, CelebAMask-HQ, StyleGAN, DeepFakeFace, SFHQ-T2I, Community Forensics, OpenFake and
DF40 were looked up; check the others at the publisher. Expected counts are of the complete release.
"""

from .layout import GENERATED, REAL, Rule, Source
from .reference import UNTOLD
from .tables import CsvList

# The folder of Stable Diffusion is the one that the notebook names without its generator.
_STABLE = r"stable[-_]?diffusion[^/]*/|(^|/)(sd[^/]*|faces_generated)/"

SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        # Layout and counts: the table in the README of NVlabs/ffhq-dataset. Its zips hold one folder each.
        Source(
            "ffhq",
            "Flickr-Faces-HQ",
            "https://github.com/NVlabs/ffhq-dataset",
            "CC BY-NC-SA 4.0; each picture CC BY, CC BY-NC, CC0 or public domain",
            "non-commercial; credit the paper and the authors named in ffhq-dataset-v2.json; share alike",
            variants=(
                (Rule(r"(^|/)images1024x1024(\.zip)?/", REAL, "none", 70_000, "pictures at 1024 px"),),
                (Rule(r"(^|/)ffhq-r10\.tfrecords/", REAL, "none", 70_000, "records at 1024 px"),),
                (Rule(r"(^|/)ffhq[^/]*lmdb/", REAL, "none", 70_000, "pictures in the LMDB"),),
                (Rule(r"(^|/)thumbnails128x128(\.zip)?/", REAL, "none", 70_000, "thumbnails at 128 px"),),
            ),
        ),
        # CelebA-HQ itself is published as differences to CelebA. People use CelebAMask-HQ's JPEG copy, ProGAN's
        # tfrecords, or folders made by scripts; the names of the last were not confirmed by a publisher.
        Source(
            "celeba-hq",
            "CelebA-HQ",
            "https://github.com/switchablenorms/CelebAMask-HQ",
            "CelebA agreement",
            "non-commercial research only; no redistribution of pictures or of parts of them",
            "read and keep to the dataset agreement on that page",
            variants=(
                (Rule(r"(^|/)CelebA-HQ-img/", REAL, "none", 30_000, "pictures of CelebAMask-HQ"),),
                (Rule(r"(^|/)celebahq-r10\.tfrecords/", REAL, "none", 30_000, "records at 1024 px"),),
                (Rule(r"(^|/)celeba[-_]?hq[^/]*lmdb/", REAL, "none", 30_000, "pictures in the LMDB"),),
                (Rule(r"(^|/)(data1024x1024|celeba[-_]?hq[-_]?(1024|512|256))(\.zip)?/", REAL, "none", 30_000),),
            ),
        ),
        # Borji (Quintic AI), "Generated Faces in the Wild", arXiv 2210.00586: 30,000 real faces cut from COCO's
        # training pictures. His notebooks (aliborji/GFW) name the folders `real_faces` or `real_data`, with
        # 00000.jpeg, and `lfw_resize` for LFW at 100 px. The archive behind the link could not be opened: the names
        # in it may differ, and so the patterns are wide.
        Source(
            "gfw-real",
            "GFW, real faces (Quintic AI)",
            "https://github.com/aliborji/GFW",
            "not stated; COCO's pictures are under Flickr users' licences, LFW's under news agencies' rights",
            "research only; ask the authors for anything else",
            "the data hang on a Google Drive link in the README",
            variants=(
                (
                    Rule(r"(^|/)lfw[^/]*/", REAL, "none", 13_233, "LFW crops"),
                    Rule(r"(^|/)(coco[^/]*|real[-_]?(faces?|data))/", REAL, "none", 30_000, "COCO crops"),
                ),
            ),
        ),
        # What people have is the free academic set of 10,000, or what the API gave them: no fixed layout, so every
        # picture in the folder counts, and no count is expected.
        Source(
            "generated-photos",
            "Generated Photos",
            "https://generated.photos/datasets",
            "Generated Photos licence",
            "free for academic use with attribution by agreement; else paid; no training of competing generators",
            "apply for the academic dataset on that page",
            variants=((Rule("", GENERATED, "generated.photos"),),),
        ),
        # 100K Faces (September 2019) is StyleGAN trained on studio photographs, by the people of Generated Photos; its
        # folders were not confirmed. NVlabs' samples: README of NVlabs/stylegan, ffhq-1024x1024 below
        # 100k-generated-images. The folders of truncations in it are as in StyleGAN2's release, not confirmed.
        Source(
            "stylegan",
            "StyleGAN: 100K Faces and NVlabs' samples",
            "https://github.com/NVlabs/stylegan",
            "CC BY-NC 4.0 (NVlabs); 100K Faces: free with a link to generated.photos",
            "non-commercial; credit the paper",
            "the samples hang on a Google Drive link in the README",
            variants=(
                (
                    Rule(r"(^|/)(ffhq-1024x1024|stylegan-ffhq)(\.zip)?/", GENERATED, "stylegan", 0, "NVlabs' samples"),
                    Rule(
                        r"(^|/)(100k[-_]?faces?|generated[-_.]yellow)[^/]*/",
                        GENERATED,
                        "stylegan",
                        0,
                        "pictures of 100K Faces",
                    ),
                ),
            ),
        ),
        # README of NVlabs/stylegan2: 100k-generated-images/ffhq-1024x1024/stylegan2-config-f-psi-{0.5,1.0}/000000/
        # 000000.png, confirmed by paths in public code. Crawls of thispersondoesnotexist.com have no publisher.
        Source(
            "stylegan2",
            "StyleGAN2: NVlabs' samples and thispersondoesnotexist.com",
            "https://github.com/NVlabs/stylegan2",
            "Nvidia Source Code License-NC (NVlabs); thispersondoesnotexist.com states none",
            "non-commercial; credit the paper",
            "the samples hang on a Google Drive link in the README",
            variants=(
                (
                    Rule(r"(^|/)(stylegan2-ffhq[^/]*|ffhq-1024x1024(\.zip)?)/", GENERATED, "stylegan2", 0, "samples"),
                    Rule(
                        r"(^|/)(this-?person-?does-?not-?exist|tpdne)[^/]*/",
                        GENERATED,
                        "stylegan2",
                        0,
                        "crawled pictures",
                    ),
                ),
            ),
        ),
        # Paper and notebook as at gfw-real. 15,076 pictures in all (abstract), 6,350 of Midjourney in the folder
        # faces_generated_midjourney (notebook). That 8,050 and 676 are the shares of the others is the paper's table
        # from memory; the sum is right. Names of the other two folders are guessed from the first.
        Source(
            "gfw-generated",
            "GFW, generated faces (Quintic AI)",
            "https://github.com/aliborji/GFW",
            "not stated; the generators' terms of use apply",
            "research only; ask the authors for anything else",
            "the data hang on a Google Drive link in the README",
            variants=(
                (
                    Rule(r"mid[-_]?(journey|faces)[^/]*/", GENERATED, "midjourney", 6_350, "Midjourney faces"),
                    Rule(r"dall[-_]?e[^/]*/", GENERATED, "dall-e-2", 676, "DALL-E 2 faces"),
                    Rule(_STABLE, GENERATED, "stable-diffusion-1.4", 8_050, "Stable Diffusion faces"),
                ),
            ),
        ),
        # lfw.tgz and lfw-deepfunneled.tgz hold lfw/Aaron_Eckhart/Aaron_Eckhart_0001.jpg; 13,233 pictures.
        Source(
            "lfw",
            "Labeled Faces in the Wild",
            "https://vis-www.cs.umass.edu/lfw/",
            "not stated; press photographs",
            "research only",
            variants=((Rule(r"lfw[^/]*/(.*/)?([^/]+)/\2_\d{4}\.jpg$", REAL, "none", 13_233, "pictures"),),),
        ),
        # Folders and CSV columns (original_path, id, label, label_str, path) as public code reads them. In its CSVs 1
        # means real; the folders say the same and are used here. Real ones are FFHQ at 256 px, so that both together
        # make near duplicates; generated ones are of the "1 million fake faces", which is StyleGAN.
        Source(
            "140k-faces",
            "140k Real and Fake Faces",
            "https://www.kaggle.com/datasets/xhlulu/140k-real-and-fake-faces",
            "as FFHQ (CC BY-NC-SA 4.0) and StyleGAN (CC BY-NC 4.0)",
            "non-commercial; credit both papers",
            "sign in to Kaggle to download",
            variants=(
                (
                    Rule(r"(train|valid|test)/real/", REAL, "none", 70_000, "real pictures"),
                    Rule(r"(train|valid|test)/fake/", GENERATED, "stylegan", 70_000, "generated pictures"),
                ),
            ),
        ),
        # The card of OpenRL/DeepFakeFace: four zips of 30,000. Inpainting and insight change photographs of wiki.zip,
        # which stays the background of the picture. That text2img is Stable Diffusion 1.5, and what made the others:
        # README of OpenRL-Lab/DeepFakeFace.
        Source(
            "deepfakeface",
            "DeepFakeFace",
            "https://huggingface.co/datasets/OpenRL/DeepFakeFace",
            "Apache 2.0 (OpenRL); the photographs are IMDB-WIKI's",
            "IMDB-WIKI: academic research only",
            variants=(
                (
                    Rule(r"(^|/)wiki(\.zip)?/", REAL, "none", 30_000, "pictures of wiki"),
                    Rule(
                        r"(^|/)inpainting(\.zip)?/", GENERATED, "stable-diffusion-inpainting", 30_000, "of inpainting"
                    ),
                    Rule(r"(^|/)insight(\.zip)?/", GENERATED, "insightface", 30_000, "of insight"),
                    Rule(r"(^|/)text2img(\.zip)?/", GENERATED, "stable-diffusion-1.5", 30_000, "of text2img"),
                ),
            ),
            archives=("wiki.zip", "inpainting.zip", "insight.zip", "text2img.zip"),
            repo="OpenRL/DeepFakeFace",
            derived_from=("deepfakeface",),
        ),
        # README and explore_dataset.py of SelfishGene/SFHQ-T2I-dataset: images/, and SFHQ_T2I_dataset.csv with
        # image_filename and model_used. The counts by model in the README add up to 122,726. MIT is LICENSE.txt there;
        # the README adds that there are "no privacy issues or license issues surrounding these images", and asks to be
        # cited.
        Source(
            "sfhq-t2i",
            "SFHQ-T2I",
            "https://www.kaggle.com/datasets/selfishgene/sfhq-t2i-synthetic-faces-from-text-2-image-models",
            "MIT (the repository); the generators' terms of use apply",
            "cite the author",
            "sign in to Kaggle to download",
            variants=((Rule("", GENERATED, "", 122_726, "pictures"),),),
            listing=CsvList(
                "SFHQ_T2I_dataset.csv",
                ("image_filename",),
                "images",
                "model_used",
                {
                    "FLUX1_pro": "flux.1-pro",
                    "FLUX1_dev": "flux.1-dev",
                    "FLUX1_schnell": "flux.1-schnell",
                    "SDXL": "sdxl",
                    "DALLE3": "dall-e-3",
                },
            ),
        ),
        # The card of OwensLab/CommunityForensics-Small: data/*.parquet (HFCF_small_N.parquet in public code), with the
        # picture's file in image_data, label (1 fake, 0 real), model_name, and architecture (LatDiff, PixDiff, GAN,
        # other, Commercial, real). 278,000 pictures of the base set's 4,803 generators, and as many photographs, of the
        # sets that the base set's card lists: LAION, ImageNet, COCO, FFHQ, CelebA and others. Pictures of everything:
        # few hold a face. CC BY-NC-SA 4.0 is the `license` of the card.
        Source(
            "community-forensics-small",
            "Community Forensics (small)",
            "https://huggingface.co/datasets/OwensLab/CommunityForensics-Small",
            "CC BY-NC-SA 4.0 (Owens Lab); the photographs keep the terms of the sets they are of",
            "non-commercial; cite the paper; share alike",
            variants=((Rule(r"\.parquet/", UNTOLD, "", 0, "pictures"),),),
            repo="OwensLab/CommunityForensics-Small",
            stated=("real", "generated"),
        ),
        # The card of ComplexDataLab/OpenFake, and its commits: core/{train,validation,test}-*.parquet, and before that
        # data/{train,test}-*.parquet, with image, label (real, fake), model, prompt, type and release_date. The part
        # reddit/ is left out: the card's words about it were not to be had. CC BY-NC 4.0 is the `license` since core/,
        # CC BY-SA 4.0 was before; out of scope, says the card, is training generative models on it, because of the
        # non-compete terms of proprietary ones. Photographs are LAION-400M's. Politics: many pictures hold a face.
        Source(
            "openfake",
            "OpenFake",
            "https://huggingface.co/datasets/ComplexDataLab/OpenFake",
            "CC BY-NC 4.0 (Complex Data Lab); the photographs are LAION's, of many owners",
            "non-commercial; not for training generative models",
            variants=((Rule(r"(^|/)(core|data)/[^/]+\.parquet/", UNTOLD, "", 0, "pictures"),),),
            repo="ComplexDataLab/OpenFake",
        ),
        # README of YZY-stack/DF40: rows 24 to 35 of its table are entire-face synthesis, CC BY-NC 4.0 is its licence,
        # and the data hang on Drive and Baidu. Folders as public code that reads them lists them: METHOD/{ff,cdf}/… in
        # the test part, METHOD/… in the training part, a zip for each method; MidJourney and whichfaceisreal hold fake/
        # and real/, the latter FFHQ's (README). The folder ddim is the table's DDPM. What whichfaceisreal.com shows is
        # not said there. Other methods (swaps, reenactment, edits) change photographs and are left out.
        Source(
            "df40-efs",
            "DF40, entire-face synthesis",
            "https://github.com/YZY-stack/DF40",
            "CC BY-NC 4.0; the photographs are FFHQ's",
            "non-commercial; cite the paper",
            "the data hang on Google Drive and Baidu links in the README",
            variants=(
                (
                    Rule(r"(^|/)(midjourney|which(face)?isreal)(\.zip)?/(.*/)?real/", REAL, "none", 0, "photographs"),
                    *(
                        Rule(rf"(^|/){folder}(\.zip)?/", GENERATED, generator, 0, f"of {generator}")
                        for folder, generator in (
                            ("vqgan", "vqgan"),
                            ("stylegan2", "stylegan2"),
                            ("stylegan3", "stylegan3"),
                            ("styleganxl", "stylegan-xl"),
                            (r"sd2\.1", "stable-diffusion-2.1"),
                            ("ddim", "ddpm"),
                            ("rddm", "rddm"),
                            ("pixart", "pixart-alpha"),
                            ("dit", "dit-xl-2"),
                            ("sit", "sit-xl-2"),
                            ("midjourney", "midjourney-6"),
                            ("which(face)?isreal", "whichfaceisreal"),
                        )
                    ),
                ),
            ),
        ),
        # README of faker-js/assets-person-portrait: {male,female}/{32,64,128,256,512}/{0…99}.jpg, made by Stable
        # Diffusion 3 (metadata/*.json say so of each). No licence was found in that README or beside it.
        Source(
            "faker-portraits",
            "Faker's assets: person portraits",
            "https://github.com/faker-js/assets-person-portrait",
            "not stated in its README",
            "ask the maintainers before you pass pictures on",
            "clone the repository, or download it as a zip",
            variants=((Rule(r"(^|/)(fe)?male/512/\d+\.jpg$", GENERATED, "sd3", 200, "portraits at 512 px"),),),
        ),
    )
}
