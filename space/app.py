"""The fakeface Space: drop a picture, read the verdict, see where the model looked.

    python space/app.py                                   # http://127.0.0.1:7860
    FAKEFACE_MODEL=path/or/hub-id PORT=8000 python space/app.py

`README.md` beside this file lists the settings.
"""

from fakeface.app import main

if __name__ == "__main__":
    main()
